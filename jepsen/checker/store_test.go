package checker_test

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// fault is a bug planted in the store.
type fault string

const (
	none            fault = ""
	loses           fault = "an acknowledged put is dropped everywhere"
	lastWriterWins  fault = "of siblings only the last is kept"
	ignoresContexts fault = "a put supersedes nothing"
	overreaches     fault = "a blind put supersedes what it has not seen"
	resurrects      fault = "a superseded put is back in the end"
	ignoresDeletes  fault = "a delete is acknowledged and does nothing"
	acksEarly       fault = "one replica counts as a quorum of a write"
	readsOne        fault = "one replica counts as a quorum of a read"
	refusesWrongly  fault = "a write is reported as not applied and is applied"
	invents         fault = "a value is damaged"
	crossesKeys     fault = "a value of another key is shown"
	reusesDots      fault = "two writes have one dot"
	mintsTwice      fault = "one request becomes two events"
)

// store is a replicated store that is obviously right, unless a fault is
// planted: a replica is the set of events that it knows, with everything that
// those had seen; nothing is ever forgotten, stripped or compressed. Delivery
// takes random times, and some of it waits for the end.
type store struct {
	rng      *rand.Rand
	fault    fault
	n, r, w  int
	now      time.Duration
	queue    agenda
	replicas []map[string]*state
	contexts []*state // the token of a context is its index here
	late     []func()
	rec      history.Recorder
	dots     int
	planted  int // how often the fault has struck
}

// event is a put or a delete.
type event struct {
	dot   string
	value []byte
	isPut bool
	acked bool
	ctx   *state
}

// state is what somebody knows of a key: events, and all that they had seen.
type state struct{ known, dead map[*event]bool }

func newState() *state { return &state{map[*event]bool{}, map[*event]bool{}} }

func (s *state) join(o *state) {
	maps.Copy(s.known, o.known)
	maps.Copy(s.dead, o.dead)
}

// add is the effect of an event: it is known, all that it had seen is known,
// and all that is dead.
func (s *state) add(e *event) {
	s.join(e.ctx)
	maps.Copy(s.dead, e.ctx.known)
	s.known[e] = true
}

func (s *state) live() []*event {
	var live []*event
	for e := range s.known {
		if e.isPut && !s.dead[e] {
			live = append(live, e)
		}
	}
	slices.SortFunc(live, func(a, b *event) int { return len(a.dot)*1000 - len(b.dot)*1000 + compareText(a.dot, b.dot) })
	return live
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// agenda is what happens when, in order of time and then of planning.
type agenda []appointment

type appointment struct {
	at    time.Duration
	order int
	do    func()
}

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (s *store) after(d time.Duration, do func()) {
	heap.Push(&s.queue, appointment{s.now + d, len(s.queue) + s.dots<<20, do})
}

// soon is a random delay of at most 20 ms, mostly much less.
func (s *store) soon() time.Duration {
	return time.Duration(1+s.rng.IntN(1+s.rng.IntN(20_000))) * time.Microsecond
}

func (s *store) strikes(f fault, oneIn int) bool {
	if s.fault != f || s.rng.IntN(oneIn) > 0 {
		return false
	}
	s.planted++
	return true
}

func (s *store) at(replica int, key string) *state {
	if s.replicas[replica][key] == nil {
		s.replicas[replica][key] = newState()
	}
	return s.replicas[replica][key]
}

// simulate lets clients of one kind work for a while and reads everything in
// the end.
func simulate(seed uint64, kind workload.Kind, f fault, n, r, w int) (history.History, *store) {
	s := &store{rng: rand.New(rand.NewPCG(seed, 1)), fault: f, n: n, r: r, w: w}
	for range n {
		s.replicas = append(s.replicas, map[string]*state{})
	}
	cfg := workload.Config{Bucket: "b", Keys: 3, Nodes: n, SetElements: 40}
	for p := range 5 {
		client, err := workload.NewClient(kind, cfg, p, rand.New(rand.NewPCG(seed, uint64(2+p))))
		if err != nil {
			panic(err)
		}
		s.run(client, p, 60, workload.Result{})
	}
	s.work()
	for _, deliver := range s.late {
		deliver()
	}
	s.plantAtTheEnd()
	for i, intent := range cfg.FinalReads() {
		s.carryOut(intent, 1000+i, func(workload.Result) {})
	}
	s.work()
	return s.rec.History(history.Header{Workload: string(kind), Seed: seed}, s.now), s
}

func (s *store) work() {
	for len(s.queue) > 0 {
		a := heap.Pop(&s.queue).(appointment)
		s.now = a.at
		a.do()
	}
}

func (s *store) run(client *workload.Client, process, ops int, last workload.Result) {
	if ops == 0 {
		return
	}
	s.after(s.soon(), func() {
		s.carryOut(client.Next(last), process, func(r workload.Result) { s.run(client, process, ops-1, r) })
	})
}

func (s *store) carryOut(i workload.Intent, process int, done func(workload.Result)) {
	n := s.rec.Begin(i.Begin(process, s.now))
	answer := func(r workload.Result) {
		r.N, r.Attempts = s.n, 1
		s.rec.End(n, func(op *history.Op) { r.End(op, s.now) })
		done(r)
	}
	if i.Kind == history.Get {
		s.get(i, answer)
	} else {
		s.write(i, answer)
	}
}

// get joins r replicas, each as it is at some moment of the read.
func (s *store) get(i workload.Intent, answer func(workload.Result)) {
	r := s.r
	if s.strikes(readsOne, 1) {
		r = 1
	}
	seen := newState()
	for _, replica := range s.rng.Perm(s.n)[:r] {
		s.after(s.soon(), func() {
			seen.join(s.at(replica, i.Key))
			if r--; r > 0 {
				return
			}
			result := workload.Result{Outcome: kindred.Applied, Need: s.r, Context: s.token(seen)}
			for _, e := range s.shown(i, seen) {
				result.Siblings = append(result.Siblings, workload.Found{Value: e.value, Dot: e.dot})
			}
			answer(result)
		})
	}
}

// shown is what a read finds.
func (s *store) shown(i workload.Intent, seen *state) []*event {
	live := seen.live()
	if len(live) > 0 && s.strikes(invents, 10) {
		broken := *live[0]
		broken.value = append([]byte("1"), broken.value...)
		live[0] = &broken
	}
	other := map[string]string{"key-0": "key-1", "key-1": "key-2", "key-2": "key-0"}[i.Key]
	if foreign := s.at(0, other).live(); len(foreign) > 0 && s.strikes(crossesKeys, 10) {
		live = append(live, foreign...)
	}
	if s.fault == lastWriterWins && len(live) > 1 {
		s.planted++
		live = live[len(live)-1:]
	}
	return live
}

func (s *store) token(seen *state) []byte {
	s.contexts = append(s.contexts, seen)
	return fmt.Append(nil, len(s.contexts)-1)
}

// context is what a token stands for.
func (s *store) context(token []byte) *state {
	if len(token) == 0 {
		return newState()
	}
	var i int
	if _, err := fmt.Sscan(string(token), &i); err != nil {
		panic(err)
	}
	return s.contexts[i]
}

func (s *store) mint() string {
	if !s.strikes(reusesDots, 50) || s.dots == 0 {
		s.dots++
	}
	return fmt.Sprintf("d%d", s.dots)
}

// write mints an event and delivers it to the replicas, to some of them late.
// It answers when w of them have it, or, after 30 ms, that it does not know.
func (s *store) write(i workload.Intent, answer func(workload.Result)) {
	if s.rng.IntN(20) == 0 {
		if s.strikes(refusesWrongly, 4) {
			s.deliver(s.event(i), i.Key, func(int) {})
		}
		s.after(s.soon(), func() { answer(workload.Result{Outcome: kindred.NotApplied, Need: s.w}) })
		return
	}
	e, answered, need := s.event(i), false, s.w
	if s.strikes(acksEarly, 1) {
		need = 1
	}
	reply := func(outcome kindred.Outcome, context []byte) {
		if !answered {
			answered, e.acked = true, outcome == kindred.Applied
			answer(workload.Result{Outcome: outcome, Need: s.w, Dot: e.dot, Context: context})
		}
	}
	s.after(30*time.Millisecond, func() { reply(kindred.Unknown, nil) })
	if s.rng.IntN(40) == 0 {
		return // lost on its way, for ever
	}
	acks := 0
	s.deliver(e, i.Key, func(int) {
		if acks++; acks == need {
			seen := newState()
			seen.add(e)
			s.after(s.soon(), func() { reply(kindred.Applied, s.token(seen)) })
		}
	})
	if s.strikes(mintsTwice, 20) {
		s.deliver(s.event(i), i.Key, func(int) {})
	}
}

func (s *store) event(i workload.Intent) *event {
	e := &event{dot: s.mint(), value: i.Value, isPut: i.Kind == history.Put, ctx: s.context(i.Context)}
	switch {
	case s.fault == ignoresContexts && e.isPut && len(e.ctx.known) > 0, s.fault == ignoresDeletes && !e.isPut:
		s.planted++
		e.ctx = newState()
	case s.fault == overreaches && e.isPut && len(i.Context) == 0:
		s.planted++
		e.ctx = newState()
		e.ctx.join(s.at(0, i.Key))
	}
	return e
}

// deliver brings an event to every replica in the end.
func (s *store) deliver(e *event, key string, arrived func(replica int)) {
	for replica := range s.n {
		apply := func() { s.at(replica, key).add(e) }
		if s.rng.IntN(10) == 0 {
			s.late = append(s.late, apply)
			continue
		}
		s.after(s.soon(), func() {
			apply()
			arrived(replica)
		})
	}
}

// plantAtTheEnd spoils every key in all replicas.
func (s *store) plantAtTheEnd() {
	for _, key := range slices.Sorted(maps.Keys(s.replicas[0])) {
		first := s.replicas[0][key]
		live := slices.DeleteFunc(first.live(), func(e *event) bool { return !e.acked })
		var dead []*event
		for e := range first.dead {
			if e.isPut {
				dead = append(dead, e)
			}
		}
		slices.SortFunc(dead, func(a, b *event) int { return compareText(a.dot, b.dot) })
		for replica := range s.n {
			state := s.at(replica, key)
			if s.fault == loses && len(live) > 0 {
				s.planted++
				delete(state.known, live[0])
			}
			if s.fault == resurrects && len(dead) > 0 {
				s.planted++
				delete(state.dead, dead[0])
			}
		}
	}
}
