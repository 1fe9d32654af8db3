package gossip

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/lobby"
)

// aloneEvery is the pause between calls while no other member is there.
const aloneEvery = time.Second

// Gossip is this node's end of the gossip. Its methods may be called from any
// goroutine.
type Gossip struct {
	cfg  Config
	log  *slog.Logger
	list *memberlist.Memberlist
	rec  *recorder
	// keyring is nil without encryption; rekey is held while it changes.
	keyring   *memberlist.Keyring
	rekey     sync.Mutex
	strangers security.Strangers
	// lobby has the streams that others have opened: each is a question and an
	// answer, and nobody proves a name.
	lobby *lobby.Lobby
	// turnedAway are the members that know another key than this node, as far
	// as that was logged.
	turnedAway sync.Map
	// addr is read once: memberlist changes its own record without a lock that
	// others could take.
	addr string
	// telling is held while memberlist is made to tell of this node: it reads its
	// own record without a lock, and writes it with one.
	telling sync.Mutex

	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup
	newMeta   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Start begins to gossip. Seeds and known members are called in the
// background, until they answer.
func Start(cfg Config) (*Gossip, error) { return start(cfg, nil) }

// start takes a transport for tests.
func start(cfg Config, transport memberlist.Transport) (*Gossip, error) {
	cfg = cfg.withDefaults()
	conf, err := cfg.memberlist()
	if err != nil {
		return nil, err
	}
	rec := newRecorder(cfg.Name, cfg.Meta)
	g := &Gossip{cfg: cfg, log: cfg.Logger, rec: rec, keyring: conf.Keyring, newMeta: make(chan struct{}, 1)}
	conf.Logger = log.New(logWriter{cfg.Logger, g.meetStranger}, "", 0)
	if transport == nil {
		if transport, err = sockets(conf); err != nil {
			return nil, fmt.Errorf("gossip: cannot listen on %s: %w", cfg.BindAddr, err)
		}
	}
	g.lobby = lobby.New(lobby.Limits{Max: cfg.StreamsMax, Patience: conf.TCPTimeout, BytesMax: StreamBytesMax}, "gossip", cfg.Logger)
	transport = newBounded(transport, g.lobby)
	if cfg.Faults != nil {
		transport = newFaulty(transport, cfg.Faults)
	}
	conf.Delegate, conf.Events, conf.Conflict, conf.Transport = rec, rec, rec, transport
	list, err := memberlist.Create(conf)
	if err != nil {
		err = errors.Join(err, transport.Shutdown())
		return nil, fmt.Errorf("gossip: cannot listen on %s: %w", cfg.BindAddr, err)
	}
	g.list, g.addr = list, list.LocalNode().Address()
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.running.Go(g.report)
	g.running.Go(g.rejoin)
	g.running.Go(g.announce)
	return g, nil
}

// Addr is the address that others use.
func (g *Gossip) Addr() string { return g.addr }

// Members returns the live members other than this node, in the order of
// their names.
func (g *Gossip) Members() []Member { return g.rec.live() }

// Streams is how many streams of others are open, and how many were closed because
// there were too many, or because they took too long or sent too much.
func (g *Gossip) Streams() (open int, putOut uint64) { return g.lobby.Waiting(), g.lobby.PutOut() }

// UpdateMeta changes what this node tells about itself. It returns at once; the
// others learn it within a few gossip rounds.
func (g *Gossip) UpdateMeta(meta []byte) error {
	if err := checkMeta(meta); err != nil {
		return err
	}
	g.rec.setMeta(meta)
	signal(g.newMeta)
	return nil
}

// Leave tells the others that this node goes, and waits until one of them was
// told or for the time-out. Close must follow.
func (g *Gossip) Leave(timeout time.Duration) error {
	g.rec.setLeaving()
	g.telling.Lock() // for a second at most
	defer g.telling.Unlock()
	// The mark travels like any meta; a node that misses it reports a death.
	if err := g.list.UpdateNode(timeout / 2); err != nil {
		g.log.Debug("gossip: leaving unannounced", "err", err)
	}
	if err := g.list.Leave(timeout / 2); err != nil {
		return fmt.Errorf("gossip: nobody was told that this node leaves: %w", err)
	}
	return nil
}

// Close ends the gossip without a word: the others will notice. No event is
// reported after it returned.
func (g *Gossip) Close() error {
	g.closeOnce.Do(func() {
		g.cancel()
		g.closeErr = g.list.Shutdown()
		g.running.Wait()
	})
	return g.closeErr
}

// report hands events to the user until Close.
func (g *Gossip) report() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.rec.wake:
		}
		for _, e := range g.rec.events() {
			if g.ctx.Err() != nil {
				return
			}
			if e.Kind == Conflict {
				g.log.Error("gossip: two nodes claim one name; if it is one that moved, this ends when the old address is dead",
					"name", e.Name, "addr", e.Addr, "other", e.Other)
			}
			g.cfg.Events(e)
		}
	}
}

// announce spreads new metas until Close. It is a goroutine because memberlist
// waits until the news is out.
func (g *Gossip) announce() {
	for {
		select {
		case <-g.ctx.Done():
			return
		case <-g.newMeta:
		}
		if err := g.tell(aloneEvery); err != nil {
			g.log.Debug("gossip: meta not announced yet", "err", err)
		}
	}
}

// tell spreads the meta as it is now and waits until it is out.
func (g *Gossip) tell(timeout time.Duration) error {
	g.telling.Lock()
	defer g.telling.Unlock()
	return g.list.UpdateNode(timeout)
}

// rejoin calls absent members until Close (G1): one after the other, and many at
// once while the node is alone. It does not wait for answers, because a call
// across a cut hangs for seconds.
func (g *Gossip) rejoin() {
	pause := time.Duration(0)
	calls := newCalls()
	for {
		if !g.sleep(pause) {
			return
		}
		live, contested := g.rec.live(), g.rec.contested()
		missed := g.cfg.absent(g.Addr(), live)
		if contested {
			for _, m := range live {
				missed = append(missed, m.Addr)
			}
		}
		alone := contested || len(live) == 0
		for _, addr := range calls.begin(missed, alone) {
			g.running.Go(func() {
				defer calls.end(addr)
				_, err := g.list.Join([]string{addr})
				g.called(addr, err)
			})
		}
		pause = nextPause(pause, g.cfg.RejoinEvery, alone)
	}
}

// called notes how a call of an absent member went. One that has another key is
// there, and will not hear of this node until an operator has seen to it.
func (g *Gossip) called(addr string, err error) {
	switch {
	case err == nil:
		g.turnedAway.Delete(addr)
	case !isForeign(err.Error()):
		g.log.Debug("gossip: absent member does not answer", "addr", addr, "err", err)
	default:
		if _, told := g.turnedAway.Swap(addr, true); !told {
			g.log.Warn("gossip: refused by another node: this node and it have no gossip key in common, compare their --gossip-key", "addr", addr, "err", err)
		}
	}
}

// meetStranger counts and names who sends what no key of this node decrypts.
func (g *Gossip) meetStranger(text string) {
	addr := sender(text)
	host, _, _ := net.SplitHostPort(addr)
	if !g.strangers.Met(time.Now(), host) {
		return
	}
	g.log.Warn("gossip: refused what is not encrypted with a key of this node; compare --gossip-key there and here",
		"from", addr, "member", g.cfg.named(addr))
}

// nextPause is short at first, so that nodes that start together find one
// another at once, and stays short while the node is alone, or the others know
// it by another address.
func nextPause(last, every time.Duration, alone bool) time.Duration {
	next := max(2*last, aloneEvery/4)
	if alone {
		next = min(next, aloneEvery)
	}
	return min(next, every)
}

// absent returns the addresses at which a member is missed: known ones by name,
// seeds by address, since a seed's name is not known. Self is this node's own.
func (c Config) absent(self string, live []Member) []string {
	missed := maps.Clone(c.Known())
	delete(missed, c.Name)
	present := map[string]bool{self: true, c.BindAddr: true, c.AdvertiseAddr: true, "": true}
	for _, m := range live {
		delete(missed, m.Name)
		present[m.Addr] = true
	}
	addrs := slices.Concat(slices.Collect(maps.Values(missed)), c.Seeds)
	return slices.DeleteFunc(addrs, func(a string) bool { return present[a] })
}

// callsMax bounds the calls of absent members that wait for an answer.
const callsMax = 8

// calls are the addresses that are being called.
type calls struct {
	mu   sync.Mutex
	open map[string]bool
}

func newCalls() *calls { return &calls{open: map[string]bool{}} }

// begin chooses whom to call now: one at random that is not being called yet,
// or as many of them as may be called at once.
func (c *calls) begin(missed []string, many bool) (chosen []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := 1
	if many {
		most = callsMax
	}
	for _, i := range rand.Perm(len(missed)) {
		if addr := missed[i]; !c.open[addr] && len(c.open) < callsMax && len(chosen) < most {
			c.open[addr] = true
			chosen = append(chosen, addr)
		}
	}
	return chosen
}

func (c *calls) end(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, addr)
}

func (g *Gossip) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.ctx.Done():
		return false
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
