package history

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	kindred "github.com/kindredkv/kindred"
)

// Form is how a history looks in EDN. Every form is a history as Jepsen has it: a
// map per line, an :invoke for each op and its :ok, :fail or :info, in the order of
// time.
type Form string

const (
	// FormOps has everything of every op: :f is :get, :put or :delete, :value the
	// write id, or those that a get found.
	FormOps Form = "ops"
	// FormSet is one object for jepsen.checker/set and set-full: a put is an :add of
	// its write id, a :read finds the elements of all siblings. For histories of the
	// workload set.
	FormSet Form = "set"
	// FormRegister is for elle.rw-register: each op is a transaction, a put that had
	// seen one value reads that first. Gets that found several are left out: a
	// register has one. For histories without deletes.
	FormRegister Form = "register"
)

// Forms are all forms.
func Forms() []Form { return []Form{FormOps, FormSet, FormRegister} }

// WriteEDN writes the history in that form. It refuses one that the form cannot hold:
// an op that fails its Check, a process that does two things at a time, a delete
// where a form has none, several objects where a form has one (see Only).
func (h *History) WriteEDN(to io.Writer, form Form) error {
	e := ednWriter{h: h, w: bufio.NewWriter(to)}
	if err := e.check(form); err != nil {
		return err
	}
	for index, m := range e.moments() {
		e.line(index, m, form)
	}
	return e.w.Flush() // a bufio.Writer keeps its first error
}

// Only is the history of one object.
func (h *History) Only(id ID) History {
	one := History{Header: h.Header}
	for _, op := range h.Ops {
		if op.Bucket == id.Bucket && op.Key == id.Key {
			one.Ops = append(one.Ops, op)
		}
	}
	return one
}

type ednWriter struct {
	h *History
	w *bufio.Writer
	// skip are the ops that the form leaves out, sets the elements of each write.
	skip map[int]bool
	sets map[WriteID][]WriteID
}

// moment is the begin or the end of an op.
type moment struct {
	at  time.Duration
	op  int
	end bool
	// rank orders what happens at one time, process is the one that Jepsen sees.
	rank, process int
}

func (e *ednWriter) check(form Form) error {
	e.skip, e.sets = map[int]bool{}, map[WriteID][]WriteID{}
	for i := range e.h.Ops {
		op := &e.h.Ops[i]
		if err := op.Check(); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
		if form == FormOps {
			continue
		}
		switch first := &e.h.Ops[0]; {
		case op.Kind == Delete:
			return fmt.Errorf("op %d is a delete, which form %q has not", i, form)
		case form == FormRegister:
			e.skip[i] = len(op.Siblings) > 1
		case form != FormSet:
			return fmt.Errorf("%q is not a form: use one of %v", form, Forms())
		case op.Bucket != first.Bucket || op.Key != first.Key:
			return fmt.Errorf("op %d is of %s/%s and op 0 of %s/%s: form %q is of one object", i, op.Bucket, op.Key, first.Bucket, first.Key, form)
		}
	}
	if form == FormSet {
		e.findSets()
	}
	return e.oneAtATime()
}

// findSets tells the elements of every value: that of its write, and those of what
// it had seen. Writes are in the order in which they began, so what they had seen
// comes before them.
func (e *ednWriter) findSets() {
	for _, op := range e.h.Ops {
		if op.Kind == Put {
			e.sets[op.Write] = op.Elements(e.sets)
		}
	}
}

// Elements are those of the set that a put of the workload set writes, given those of
// the puts before it: its own and all that it had seen.
func (o *Op) Elements(before map[WriteID][]WriteID) []WriteID {
	all := append(union(o.Seen, before), o.Write)
	slices.Sort(all)
	return slices.Compact(all)
}

// union is all elements of those writes.
func union(writes []WriteID, of map[WriteID][]WriteID) (all []WriteID) {
	for _, w := range writes {
		set := of[w]
		if set == nil {
			set = []WriteID{w} // of nobody: a checker says so
		}
		all = append(all, set...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (e *ednWriter) oneAtATime() error {
	last := map[int]int{}
	for _, i := range e.begun() {
		op := &e.h.Ops[i]
		if before, some := last[op.Process]; some && e.h.Ops[before].Complete > op.Invoke {
			return fmt.Errorf("process %d begins op %d before op %d has ended", op.Process, i, before)
		}
		last[op.Process] = i
	}
	return nil
}

// begun are the ops in the order in which they began.
func (e *ednWriter) begun() []int {
	order := make([]int, len(e.h.Ops))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(e.h.Ops[a].Invoke, e.h.Ops[b].Invoke) })
	return order
}

// moments are the begins and ends in the order of time. Of what happens at one time
// ops begin before others end: a checker must not take them to be one after the
// other. Jepsen's processes end with an op whose outcome is unknown, so a process
// goes on after it under a new number.
func (e *ednWriter) moments() []moment {
	processes := 0
	for i := range e.h.Ops {
		processes = max(processes, e.h.Ops[i].Process+1)
	}
	type state struct {
		last  moment
		began bool
		lives int
	}
	now := map[int]*state{}
	var all []moment
	for _, i := range e.begun() {
		op := &e.h.Ops[i]
		s := now[op.Process]
		if s == nil {
			s = &state{}
			now[op.Process] = s
		}
		begin := moment{at: op.Invoke, op: i, process: op.Process + s.lives*processes}
		if s.began && s.last.at == begin.at {
			begin.rank = s.last.rank + 1
		}
		end := moment{at: op.Complete, op: i, end: true, rank: 1, process: begin.process}
		if end.at == begin.at {
			end.rank = begin.rank + 1
		}
		s.last, s.began = end, true
		if typeOf(op) == "info" {
			s.lives++
		}
		if !e.skip[i] {
			all = append(all, begin, end)
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank)) })
	return all
}

// typeOf is how an op ended. A get that failed has done nothing, whatever it knew.
func typeOf(op *Op) string {
	switch {
	case op.Outcome == kindred.Applied:
		return "ok"
	case op.Kind == Get || op.Outcome == kindred.NotApplied:
		return "fail"
	}
	return "info"
}

func (e *ednWriter) line(index int, m moment, form Form) {
	op := &e.h.Ops[m.op]
	kind := "invoke"
	if m.end {
		kind = typeOf(op)
	}
	f, value := e.content(op, kind, form)
	fmt.Fprintf(e.w, "{:index %d, :time %d, :type :%s, :process %d, :f :%s, :value %s", index, int64(m.at), kind, m.process, f, value)
	if form == FormOps {
		e.rest(op, m.end)
	} else if m.end && op.Error != "" {
		fmt.Fprintf(e.w, ", :error %s", ednString(op.Error))
	}
	e.w.WriteString("}\n")
}

// content is what an op does, and to what.
func (e *ednWriter) content(op *Op, kind string, form Form) (f, value string) {
	read := "nil"
	switch form {
	case FormSet:
		if op.IsWrite() {
			return "add", ednID(op.Write)
		}
		if kind == "ok" {
			read = ednIDs(e.elements(op.Siblings))
		}
		return "read", read
	case FormRegister:
		if !op.IsWrite() {
			if kind == "ok" && len(op.Siblings) == 1 {
				read = ednID(op.Siblings[0].Write)
			}
			return "txn", fmt.Sprintf("[[:r %s %s]]", ednString(op.Bucket+"/"+op.Key), read)
		}
		return "txn", e.transaction(op, kind)
	}
	if op.IsWrite() {
		return op.Kind.String(), ednID(op.Write)
	}
	if kind == "ok" {
		read = ednIDs(found(op.Siblings))
	}
	return op.Kind.String(), read
}

// elements are those of all values that a get found: what they held where it is known,
// as it is of final reads, and else what their writers had put into them.
func (e *ednWriter) elements(siblings []Sibling) (all []WriteID) {
	for _, s := range siblings {
		if len(s.Set) > 0 {
			all = append(all, s.Set...)
		} else {
			all = append(all, union([]WriteID{s.Write}, e.sets)...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// transaction is a put as a register has it.
func (e *ednWriter) transaction(op *Op, kind string) string {
	key := ednString(op.Bucket + "/" + op.Key)
	write := fmt.Sprintf("[:w %s %s]", key, ednID(op.Write))
	if len(op.Seen) != 1 {
		return "[" + write + "]"
	}
	saw := "nil" // a transaction learns what it reads when it ends
	if kind == "ok" {
		saw = ednID(op.Seen[0])
	}
	return fmt.Sprintf("[[:r %s %s] %s]", key, saw, write)
}

// rest are the fields that Jepsen does not know.
func (e *ednWriter) rest(op *Op, ended bool) {
	put := func(name, format string, value any) { fmt.Fprintf(e.w, ", :%s "+format, name, value) }
	put("bucket", "%s", ednString(op.Bucket))
	if utf8.ValidString(op.Key) {
		put("key", "%s", ednString(op.Key))
	} else {
		put("key64", "%s", ednString(base64.StdEncoding.EncodeToString([]byte(op.Key))))
	}
	put("client", "%d", op.Process)
	if len(op.Seen) > 0 {
		put("seen", "%s", ednIDs(op.Seen))
	}
	if len(op.Context) > 0 {
		put("context", "%s", ednString(base64.StdEncoding.EncodeToString(op.Context)))
	}
	if op.Final {
		put("final", "%v", true)
	}
	if !ended {
		return
	}
	put("outcome", "%s", ednString(op.Outcome.String()))
	for _, text := range []struct{ name, value string }{{"dot", op.Dot}, {"node", op.Node}, {"error", op.Error}} {
		if text.value != "" {
			put(text.name, "%s", ednString(text.value))
		}
	}
	for _, number := range []struct {
		name  string
		value int
	}{{"n", op.N}, {"need", op.Need}, {"attempts", op.Attempts}} {
		if number.value != 0 {
			put(number.name, "%d", number.value)
		}
	}
	if op.Sloppy {
		put("sloppy", "%v", true)
	}
	if len(op.Siblings) > 0 {
		put("siblings", "[%s]", ednSiblings(op.Siblings))
	}
}

func ednSiblings(siblings []Sibling) string {
	var texts []string
	for _, s := range siblings {
		text := "{:write " + ednID(s.Write)
		if s.Dot != "" {
			text += ", :dot " + ednString(s.Dot)
		}
		if len(s.Set) > 0 {
			text += ", :set " + ednIDs(s.Set)
		}
		texts = append(texts, text+"}")
	}
	return strings.Join(texts, " ")
}

// ednID marks what does not fit into 64 bits with a sign, as EDN wants it.
func ednID(id WriteID) string {
	if id > math.MaxInt64 {
		return fmt.Sprintf("%dN", id)
	}
	return fmt.Sprint(uint64(id))
}

func ednIDs(ids []WriteID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = ednID(id)
	}
	return "[" + strings.Join(texts, " ") + "]"
}

var ednEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func ednString(s string) string {
	return `"` + ednEscapes.Replace(strings.ToValidUTF8(s, "\uFFFD")) + `"`
}

// WorkloadSet is the workload whose histories FormSet holds.
const WorkloadSet = "set"

// Expiring is part of a header's Workload where values go by themselves. No form but
// FormOps holds that.
const Expiring = "expiring"

// Exports are files for the checkers of Jepsen, by name: name.edn has all ops,
// name.register.edn the register if the history has no deletes, and
// name.KEY.set.edn a set for each object of the workload set, if it has none either.
func (h *History) Exports(name string) (map[string][]byte, error) {
	files := map[string][]byte{}
	add := func(file string, h *History, form Form) error {
		var b bytes.Buffer
		err := h.WriteEDN(&b, form)
		files[file] = b.Bytes()
		return err
	}
	if err := add(name+".edn", h, FormOps); err != nil || strings.Contains(h.Header.Workload, Expiring) {
		return files, err
	}
	if slices.ContainsFunc(h.Ops, func(op Op) bool { return op.Kind == Delete }) {
		return files, nil
	}
	if err := add(name+".register.edn", h, FormRegister); err != nil || h.Header.Workload != WorkloadSet {
		return files, err
	}
	for id := range h.Objects() {
		one := h.Only(id)
		if err := add(fmt.Sprintf("%s.%s.set.edn", name, fileName(id.Key)), &one, FormSet); err != nil {
			return files, err
		}
	}
	return files, nil
}

// fileName is a key as a part of a file's name, such as a%2Fb.
func fileName(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if c == '-' || c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
