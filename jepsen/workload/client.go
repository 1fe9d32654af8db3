package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Kind is what a client does.
type Kind string

const (
	Set      Kind = "set"
	Blind    Kind = "blind"
	Register Kind = "register"
	Recreate Kind = "recreate"
	Sessions Kind = "sessions"
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Set, Blind, Register, Recreate, Sessions} }

// About says in a line what clients of the kind do.
func (k Kind) About() string {
	switch k {
	case Set:
		return "read all siblings, merge them, add one element, write with the context"
	case Blind:
		return "concurrent puts that have seen nothing, merged now and then"
	case Register:
		return "read, then write with the context of the read or of the last receipt, now and then with an old one"
	case Recreate:
		return "delete what is there, write again what is not"
	case Sessions:
		return "write and read back, at another node for every operation"
	}
	return string(k)
}

// ParseKind reads the name of a kind.
func ParseKind(name string) (Kind, error) {
	if k := Kind(name); slices.Contains(Kinds(), k) {
		return k, nil
	}
	return "", fmt.Errorf("%q is not a workload: use one of %v", name, Kinds())
}

const (
	// ClientsMax bounds the number of a client, which is part of its write ids.
	ClientsMax = 1 << 30
	// SetElementsMax is the default of Config.SetElements.
	SetElementsMax = 500
	// SiblingsHigh is the number of siblings at which a blind writer merges.
	SiblingsHigh = 16
)

// Config is common to the clients of a run.
type Config struct {
	// Bucket is where they work.
	Bucket string
	// Keys is how many keys they share. Few keys mean contention.
	Keys int
	// First is the number of the first of them.
	First int
	// Nodes is how many nodes they may turn to.
	Nodes int
	// SetElements bounds the elements of one set; a full set is only read. Its
	// values grow with it. Zero means SetElementsMax.
	SetElements int
}

func (c Config) check() error {
	switch {
	case c.Bucket == "":
		return fmt.Errorf("workload: the bucket is empty")
	case c.Keys < 1:
		return fmt.Errorf("workload: %d keys, at least 1 is needed", c.Keys)
	case c.Nodes < 1:
		return fmt.Errorf("workload: %d nodes, at least 1 is needed", c.Nodes)
	case c.SetElements < 0:
		return fmt.Errorf("workload: %d set elements is not a number of elements", c.SetElements)
	}
	return nil
}

// Key is the name of key i.
func (c Config) Key(i int) string { return fmt.Sprintf("key-%d", i) }

// FinalReads reads every key at every node.
func (c Config) FinalReads() []Intent {
	var reads []Intent
	for i := c.First; i < c.First+c.Keys; i++ {
		for node := range c.Nodes {
			reads = append(reads, Intent{Kind: history.Get, Bucket: c.Bucket, Key: c.Key(i), Node: node, Final: true})
		}
	}
	return reads
}

// Intent is one operation to carry out.
type Intent struct {
	Kind        history.Kind
	Bucket, Key string
	// Write is the id of a put or delete, Value the content of a put.
	Write history.WriteID
	Value []byte
	// Context is to be passed on, and Seen what was visible where it is from.
	Context []byte
	Seen    []history.WriteID
	// Node to turn to, counting from zero.
	Node int
	// Final marks the reads after everything.
	Final bool

	set []history.WriteID // what Value holds
}

// Begin is the record of an intent as it is sent.
func (i Intent) Begin(process int, at time.Duration) history.Op {
	return history.Op{
		Process: process, Invoke: at, Kind: i.Kind, Bucket: i.Bucket, Key: i.Key,
		Write: i.Write, Seen: i.Seen, Context: i.Context, Final: i.Final,
	}
}

// Result is what came of an intent. The zero Result knows nothing.
type Result struct {
	Outcome kindred.Outcome
	// Siblings are what a get found.
	Siblings []Found
	// Context is that of the get, or of the receipt of a write.
	Context []byte
	// Dot is the write event that was minted, if it is known.
	Dot string
	// N, Need, Sloppy, Attempts, Node and Error are as in history.Op.
	N, Need  int
	Sloppy   bool
	Attempts int
	Node     string
	Error    string
}

// Found is one sibling.
type Found struct {
	Value []byte
	Dot   string
}

// End completes the record of the intent.
func (r Result) End(op *history.Op, at time.Duration) {
	op.Complete, op.Outcome, op.Dot = at, r.Outcome, r.Dot
	op.N, op.Need, op.Sloppy, op.Attempts = r.N, r.Need, r.Sloppy, r.Attempts
	op.Node, op.Error = r.Node, r.Error
	if op.Kind != history.Get || r.Outcome != kindred.Applied {
		return
	}
	for _, f := range r.Siblings {
		id, set, err := ParseValue(f.Value)
		if err != nil {
			id = Foreign
		}
		s := history.Sibling{Write: id, Dot: f.Dot}
		if op.Final {
			s.Set = set
		}
		op.Siblings = append(op.Siblings, s)
	}
}

// Client is one client of a run.
type Client struct {
	cfg    Config
	number int
	rng    *rand.Rand
	plan   func(*Client) Intent
	// writes counts its writes, node is where it is now.
	writes uint64
	node   int
	// last is what it was told to do last.
	last Intent
	// view is what it knows of the key that it works on, old what it knew some
	// time ago of that key or another.
	view, old view
}

// view is what a client has seen of one key. The zero view is of no key.
type view struct {
	key     string
	context []byte
	seen    []history.WriteID
	set     []history.WriteID
	// live is the number of values that were there.
	live int
}

// NewClient makes the client of that number; the numbers of a run begin at zero
// and are unique. The source belongs to the client.
func NewClient(kind Kind, cfg Config, number int, rng *rand.Rand) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if number < 0 || number >= ClientsMax {
		return nil, fmt.Errorf("workload: client %d, the numbers are 0 to %d", number, ClientsMax-1)
	}
	if cfg.SetElements == 0 {
		cfg.SetElements = SetElementsMax
	}
	c := &Client{cfg: cfg, number: number, rng: rng, node: number % cfg.Nodes}
	switch kind {
	case Set:
		c.plan = planSet
	case Blind:
		c.plan = planBlind
	case Register:
		c.plan = planRegister
	case Recreate:
		c.plan = planRecreate
	case Sessions:
		c.plan = planSessions
	default:
		_, err := ParseKind(string(kind))
		return nil, err
	}
	return c, nil
}

// MoveTo lets the client work on as many keys from the one of that number on. What
// it knows of others it may still use once.
func (c *Client) MoveTo(first int) { c.cfg.First = first }

// Next takes the result of the last intent and returns the next one. The first
// call takes the zero Result.
func (c *Client) Next(last Result) Intent {
	c.look(last)
	c.last = c.plan(c)
	return c.last
}

// look updates what the client has seen.
func (c *Client) look(r Result) {
	if c.view.key != "" {
		c.old = c.view
	}
	c.view = view{}
	if r.Outcome != kindred.Applied {
		return
	}
	v := view{key: c.last.Key, context: r.Context}
	switch c.last.Kind {
	case history.Get:
		for _, f := range r.Siblings {
			if id, set, err := ParseValue(f.Value); err == nil {
				v.seen = append(v.seen, id)
				v.set = union(v.set, set)
			}
		}
		v.live = len(r.Siblings)
	case history.Put, history.Delete:
		if len(r.Context) == 0 {
			return // a receipt without a context: read again
		}
		v.seen, v.set = []history.WriteID{c.last.Write}, c.last.set
		if c.last.Kind == history.Put {
			v.live = 1
		}
	}
	c.view = v
}
