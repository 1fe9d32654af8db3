package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred/wire"
)

// trace is a hash of everything that happened, and the end of it in words.
type trace struct {
	agenda *agenda
	hash   uint64
	count  uint64
	ring   []line
	next   int
	// log, if not nil, is given every line as it happens.
	log func(string)
}

// line is one thing that happened. Messages, requests and answers are put into words
// only if somebody asks, because nearly nobody does.
type line struct {
	at       time.Duration
	what     string
	from, to string
	msg      wire.Message
	text     string
	// tell, if not nil, says what else there is to say.
	tell func() string
}

func newTrace(a *agenda, keep int, log func(string)) *trace {
	return &trace{agenda: a, hash: fnvOffset, ring: make([]line, 0, max(keep, 1)), log: log}
}

// note records an event; id stands for its content in the hash.
func (t *trace) note(l line, id uint64) {
	l.at = t.agenda.now
	t.count++
	t.hash = mix(t.hash, uint64(l.at))
	t.hash = hashBytes(t.hash, l.what)
	t.hash = hashBytes(t.hash, l.from)
	t.hash = hashBytes(t.hash, l.to)
	t.hash = mix(t.hash, id)
	if len(t.ring) < cap(t.ring) {
		t.ring = append(t.ring, l)
	} else {
		t.ring[t.next] = l
		t.next = (t.next + 1) % len(t.ring)
	}
	if t.log != nil {
		t.log(l.String())
	}
}

// say records an event in words, which are part of the hash.
func (t *trace) say(node, what, format string, args ...any) {
	l := line{what: what, from: node, text: fmt.Sprintf(format, args...)}
	t.note(l, hashBytes(fnvOffset, l.text))
}

// last are the last events in words, the oldest first.
func (t *trace) last() []string {
	lines := make([]string, 0, len(t.ring))
	for i := range t.ring {
		lines = append(lines, t.ring[(t.next+i)%len(t.ring)].String())
	}
	return lines
}

func (l line) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%12v %-9s %s", l.at, l.what, l.from)
	if l.to != "" {
		fmt.Fprintf(&b, " → %s", l.to)
	}
	if l.msg != nil {
		b.WriteString(" " + describe(l.msg))
	}
	if l.text != "" {
		b.WriteString(" " + l.text)
	}
	if l.tell != nil {
		b.WriteString(" " + l.tell())
	}
	return b.String()
}

// describe is a message in one line.
func describe(m wire.Message) string {
	s := fmt.Sprintf("%v %v", wire.KindOf(m), wire.HeadOf(m))
	switch m := m.(type) {
	case *wire.Write:
		return fmt.Sprintf("%s op %x/%d %s live%v dots%v context%v", s, m.Op.Process, m.Op.Seq, m.Key, m.Delta.Siblings.Dots(), m.Delta.Dots, m.Delta.Context)
	case *wire.WriteAck:
		return fmt.Sprintf("%s op %x/%d %s", s, m.Op.Process, m.Op.Seq, m.Refused)
	case *wire.Read:
		return fmt.Sprintf("%s op %x/%d %s", s, m.Op.Process, m.Op.Seq, m.Key)
	case *wire.ReadReply:
		return fmt.Sprintf("%s op %x/%d %s live%v context%v", s, m.Op.Process, m.Op.Seq, m.Failed, m.Object.Dots(), m.Object.Context)
	case *wire.Forward:
		return fmt.Sprintf("%s op %x/%d %v %s %v", s, m.Op.Process, m.Op.Seq, m.Request.Op, m.Request.Key, m.Request.RequestID)
	case *wire.ForwardReply:
		return fmt.Sprintf("%s op %x/%d %v %v", s, m.Op.Process, m.Op.Seq, m.Response.Receipt.Dot, m.Response.Err)
	}
	return s
}
