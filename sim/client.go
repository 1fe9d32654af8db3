package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
)

// attemptsMax is how often a client sends one request at most.
const attemptsMax = 4

// client does one thing at a time, as its workload says.
type client struct {
	run    *run
	number int
	work   *workload.Client
	rng    *rand.Rand
	last   workload.Result
	probes uint64
	// slot is when its next operation is due in a steady run, sources are what it
	// draws from there.
	slot    time.Duration
	sources []*steadySource
	// begun counts its operations, did are those that the run does not leave out.
	begun uint64
	did   Numbers
	// used is the id of some write, to be used for another key.
	used requestKey
	// foreign is a context of some key, to be tried on another.
	foreign struct {
		key     string
		context []byte
	}
}

// operation is one intention of a client, however often it is sent.
type operation struct {
	client *client
	intent workload.Intent
	// request is what is asked for, sent how its client says it (see leave).
	request, sent kindred.Request
	began         time.Duration
	// context is what the request's context really contains.
	context vclock.DotSet
	// record is its number in the history, or -1.
	record   int
	attempts int
	// doubtful: some attempt may still take effect. done: its client has been
	// told how it ended.
	doubtful, done bool
	// forbidden: it must never be applied. refused: it was answered so.
	forbidden, refused bool
	writes             []*write
	then               func(workload.Result)
}

func (op *operation) String() string {
	if op.client == nil {
		return "a touch"
	}
	return fmt.Sprintf("%v %s by client %d (%v)", op.request.Op, op.intent.Key, op.client.number, op.request.RequestID)
}

// quorum is what the operation asks for, of that many homes.
func (op *operation) quorum(homes int) (kindred.Quorum, *kindred.Error) {
	q := &op.request
	return kindred.Resolve(homes, q.R, q.W, q.PR, q.PW)
}

// hash is of the operation and something about it.
func (op *operation) hash(about uint64) uint64 {
	h := hashBytes(hashBytes(fnvOffset, op.intent.Key), op.request.RequestID[:])
	return uint64(chance(h).with(uint64(op.request.Op), uint64(op.client.number), about))
}

// filedAs is the id under which replicas file the request.
func (op *operation) filedAs() kindred.RequestID {
	if op.request.Op == kindred.OpDelete {
		return op.request.RequestID.ForDelete()
	}
	return op.request.RequestID
}

func newClient(r *run, number int) *client {
	c := &client{run: r, number: number}
	c.rng = c.source(uint64(number) + 1<<32)
	return c
}

func (r *run) startClients() {
	cfg := workload.Config{Bucket: bucket, Keys: r.cfg.Keys, Nodes: r.cfg.Nodes, SetElements: 40}
	for i := range r.cfg.Clients {
		c := newClient(r, i)
		work, err := workload.NewClient(r.cfg.Kinds[i%len(r.cfg.Kinds)], cfg, i, c.source(uint64(i)))
		if err != nil {
			panic(fmt.Sprintf("sim: client %d: %v", i, err))
		}
		c.work = work
		r.clients = append(r.clients, c)
		c.goOn()
	}
	r.startScanner()
	r.startRotation()
}

func (c *client) pauseBetween() time.Duration {
	pause := time.Duration(c.rng.ExpFloat64() * float64(c.run.cfg.Think))
	if float64(c.run.ops+c.run.leftOut) < c.run.cfg.Rate*c.run.agenda.now.Seconds() {
		return pause / 8 // they were held up
	}
	return pause
}

// next begins the client's next operation, and goes on when it has ended.
func (c *client) next() {
	if c.run.stopped {
		return
	}
	c.turn()
	if c.foreign.key != "" && c.rng.Float64() < c.run.cfg.Foreign {
		c.tryForeign()
		return
	}
	if c.rng.Float64() < c.run.cfg.Flood {
		c.flood(keyName(c.run.first+c.rng.IntN(c.run.cfg.Keys)), kindred.SiblingsWarn+8)
		return
	}
	intent := c.work.Next(c.last)
	if intent.Kind == history.Delete && c.rng.Float64() < c.run.cfg.ByName {
		intent.Context, intent.Seen = nil, nil
	}
	c.begin(intent, func(result workload.Result) {
		c.last = result
		if len(result.Context) > 0 && c.rng.IntN(4) == 0 {
			c.foreign.key, c.foreign.context = intent.Key, result.Context
		}
		c.goOn()
	})
}

// tryForeign writes a key with the context of another, which must be refused.
func (c *client) tryForeign() {
	c.probes++
	key := keyName(c.run.first + c.rng.IntN(c.run.cfg.Keys+1))
	intent := workload.Intent{
		Kind: history.Put, Bucket: bucket, Key: key, Node: c.rng.IntN(c.run.cfg.Nodes), Context: c.foreign.context,
		Write: history.WriteID(1<<63 | uint64(c.number+1)<<32 | c.probes),
	}
	if c.rng.IntN(3) == 0 {
		intent.Kind = history.Delete
	}
	if key == c.foreign.key {
		c.goOn()
		return
	}
	intent.Value = workload.Value(intent.Write, nil)
	c.begin(intent, func(workload.Result) { c.goOn() })
}

// flood puts that many siblings, one after the other.
func (c *client) flood(key string, left int) {
	if left == 0 || c.run.stopped {
		c.goOn()
		return
	}
	c.probes++
	intent := workload.Intent{Kind: history.Put, Bucket: bucket, Key: key, Node: c.rng.IntN(c.run.cfg.Nodes)}
	intent.Write = history.WriteID(1<<62 | uint64(c.number+1)<<32 | c.probes)
	intent.Value = workload.Value(intent.Write, []history.WriteID{intent.Write})
	c.begin(intent, func(workload.Result) { c.flood(key, left-1) })
}

// begin sends the first attempt of an intent, unless the run leaves it out: then it
// is refused before it was sent.
func (c *client) begin(intent workload.Intent, then func(workload.Result)) {
	if c.begun++; !c.run.cfg.part.does(c.number, c.begun) {
		c.run.leftOut++
		then(workload.Result{Outcome: kindred.NotApplied})
		return
	}
	c.did.add(c.begun)
	op := &operation{client: c, intent: intent, began: c.run.agenda.now, record: -1, then: then}
	op.forbidden = intent.Write>>63 == 1
	op.request = c.request(intent)
	op.sent = c.leave(op.request)
	if !op.forbidden {
		op.record = c.run.recorder.Begin(intent.Begin(c.number, op.began))
		op.context = c.run.oracle.contextOf(intent.Key, intent.Context)
	}
	if intent.IsWrite() {
		c.run.oracle.operations[requestKey{op.filedAs(), intent.Key}] = op
	}
	c.run.ops++
	c.send(op, c.run.asked(intent.Node))
}

func (c *client) request(i workload.Intent) kindred.Request {
	cfg := &c.run.cfg
	q := kindred.Request{
		Bucket: i.Bucket, Key: i.Key, Value: i.Value, Context: i.Context,
		R: cfg.R, W: cfg.W, PR: cfg.PR, PW: cfg.PW, Durability: cfg.Durability, Timeout: cfg.Timeout,
	}
	switch i.Kind {
	case history.Get:
		q.Op = kindred.OpGet
	case history.Put:
		q.Op = kindred.OpPut
		q.Value = c.enlarge(i.Value)
	case history.Delete:
		q.Op, q.Value = kindred.OpDelete, nil
	}
	if cfg.Mixed {
		q.R, q.W = kindred.Count(1+c.rng.IntN(cfg.Replicas)), kindred.Count(1+c.rng.IntN(cfg.Replicas))
	}
	if cfg.Durability == kindred.DurabilityDefault {
		q.Durability = kindred.Durability(c.rng.IntN(4))
	}
	if c.rng.Float64() < cfg.Strict {
		q.Sloppy = kindred.Strict
	}
	if i.Final {
		q.Sloppy = kindred.Strict
		q.R, q.Timeout = kindred.CountAll, time.Minute
	}
	if q.Op == kindred.OpPut {
		q.TTL = cfg.BucketTTL
	}
	if q.Op == kindred.OpPut && cfg.Expire > 0 && c.rng.Float64() < cfg.Expire {
		q.TTL = (time.Millisecond + time.Duration(c.rng.ExpFloat64()*float64(cfg.TTL))).Round(time.Millisecond)
	}
	if i.IsWrite() {
		binary.BigEndian.PutUint64(q.RequestID[:], uint64(i.Write))
		q.RequestID[15] = 1
		c.reuse(&q)
	}
	return q
}

// reuse gives a write the id of an earlier one of another key, now and then: an id
// means something for one key only, whatever clients take for theirs.
func (c *client) reuse(q *kindred.Request) {
	used := &c.used
	switch {
	case c.run.cfg.Reuse == 0:
	case used.key != "" && used.key != q.Key && c.rng.Float64() < c.run.cfg.Reuse:
		c.run.hits.add(IDReused)
		q.RequestID, used.key = used.id, ""
		c.run.oracle.reused[used.id] = true
	default:
		*used = requestKey{q.RequestID, q.Key}
	}
}

// enlarge makes a value so large that it is stored in a row of its own.
func (c *client) enlarge(value []byte) []byte {
	if c.rng.Float64() >= c.run.cfg.Large {
		return value
	}
	large := make([]byte, replica.ApartBytes+c.rng.IntN(100))
	copy(large, value)
	return large
}

// slim takes back what enlarge did. Values of workloads hold no zero bytes.
func slim(value []byte) []byte {
	for i, b := range value {
		if b == 0 {
			return value[:i]
		}
	}
	return value
}

// send makes one attempt.
func (c *client) send(op *operation, n *node) {
	r := c.run
	r.attempts++
	op.attempts++
	number := op.attempts
	r.trace.note(line{what: "ask", from: n.name, tell: func() string {
		return fmt.Sprintf("%v attempt %d context%v", op, number, op.context)
	}}, op.hash(uint64(number)))
	attempt := &attempt{op: op, node: n, at: r.agenda.now}
	r.open++
	r.agenda.after(r.delay(r.draw(0xC11E, uint64(c.number))), func() {
		if !n.up {
			attempt.answer(&kindred.Response{Err: &kindred.Error{
				Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Message: n.name + " refuses connections",
			}})
			return
		}
		r.tokens++
		token := r.tokens
		n.act(func() {
			n.request(token, &op.sent, func(resp *kindred.Response) {
				attempt.wall = n.wall()
				attempt.back(resp)
			})
		})
	})
	r.agenda.after(op.request.Timeout+time.Second, attempt.giveUp)
}

// attempt is one sending of a request.
type attempt struct {
	op   *operation
	node *node
	at   time.Duration
	// wall is what the clock of the node showed when it answered.
	wall     int64
	answered bool
}

// back carries an answer over the network to the client.
func (a *attempt) back(resp *kindred.Response) {
	r := a.op.client.run
	r.agenda.after(r.delay(r.draw(0xBAC4, uint64(a.op.client.number))), func() { a.answer(resp) })
}

func (a *attempt) giveUp() {
	a.answer(&kindred.Response{Err: &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Message: "no answer"}})
}

// answer takes the first answer to the attempt.
func (a *attempt) answer(resp *kindred.Response) {
	if a.answered {
		return
	}
	a.answered = true
	op, r := a.op, a.op.client.run
	r.open--
	r.trace.note(line{what: "answer", from: a.node.name, tell: func() string {
		return fmt.Sprintf("%v: %s", op, summary(resp))
	}}, op.hash(hashOf(resp)))
	r.oracle.answered(a, resp)
	if outcome := outcomeOf(resp); outcome == kindred.Unknown {
		op.doubtful = true
	}
	op.client.consider(op, a, resp)
}

func outcomeOf(resp *kindred.Response) kindred.Outcome {
	if resp.Err != nil {
		return resp.Err.Outcome
	}
	return kindred.Applied
}

// hashOf is of what an answer says.
func hashOf(resp *kindred.Response) uint64 {
	if resp.Err != nil {
		return hashBytes(fnvOffset, resp.Err.Error())
	}
	h := hashBytes(hashBytes(fnvOffset, resp.Receipt.Dot), resp.Context)
	for _, names := range [][]string{resp.Receipt.Acked, resp.Replied} {
		for _, name := range names {
			h = hashBytes(h, name)
		}
	}
	for _, v := range resp.Siblings {
		h = hashBytes(h, v.Dot)
	}
	return h
}

func summary(resp *kindred.Response) string {
	if resp.Err != nil {
		return resp.Err.Error()
	}
	s := fmt.Sprintf("%s acked %v replied %v context %x", resp.Receipt.Dot, resp.Receipt.Acked, resp.Replied, hashBytes(fnvOffset, resp.Context))
	for _, v := range resp.Siblings {
		s += " " + v.Dot
	}
	return s
}

// consider ends the operation, or tries again elsewhere under the same id.
func (c *client) consider(op *operation, a *attempt, resp *kindred.Response) {
	again := c.run.cfg.Retry
	if resp.Err == nil {
		again = c.run.cfg.Again
		c.finish(op, a, resp)
	}
	if op.intent.IsWrite() && op.attempts < attemptsMax && !c.run.stopped && c.rng.Float64() < again && !op.refused {
		other := c.run.asked(c.rng.IntN(len(c.run.nodes)))
		c.run.agenda.after(c.pauseBetween(), func() { c.send(op, other) })
		return
	}
	if resp.Err != nil {
		c.finish(op, a, resp)
	}
}

func (c *client) finish(op *operation, a *attempt, resp *kindred.Response) {
	if op.done {
		return
	}
	op.done = true
	result := c.result(op, a, resp)
	if op.record >= 0 {
		now := c.run.agenda.now
		c.run.recorder.End(op.record, func(h *history.Op) { result.End(h, now) })
	}
	if result.Outcome == kindred.NotApplied {
		c.run.oracle.refuse(op)
	}
	op.then(result)
}

func (c *client) result(op *operation, a *attempt, resp *kindred.Response) workload.Result {
	result := workload.Result{
		Outcome: outcomeOf(resp), Context: resp.Context, Dot: resp.Receipt.Dot,
		Attempts: op.attempts, Node: a.node.name,
	}
	if resp.Err != nil {
		result.Error, result.Dot = resp.Err.Error(), resp.Err.Dot
		if op.doubtful {
			result.Outcome = kindred.Unknown
		}
	}
	result.Sloppy = len(resp.Guests)+len(resp.Receipt.Guests) > 0
	for _, s := range resp.Siblings {
		result.Siblings = append(result.Siblings, workload.Found{Value: slim(s.Value), Dot: s.Dot})
	}
	homes := len(c.run.homes(op.intent.Key))
	if q, err := op.quorum(homes); err == nil {
		result.N, result.Need = homes, q.R
		if op.intent.IsWrite() {
			result.Need = q.W
		}
	}
	return result
}
