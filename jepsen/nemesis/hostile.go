package nemesis

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// hostile sends the nodes what nobody should send.
func hostile() Kind {
	return Kind{
		Name: "hostile", Touches: Network,
		Doc:   "a stranger sends garbage to all ports of all nodes: bytes by chance, frames and bodies that claim to be huge, contexts and cursors that nobody made, unknown fields",
		Holds: "everything: all of it is refused, and nobody else notices",
		New:   func(t Target) Nemesis { return &stranger{Target: t} },
	}
}

const (
	// hostilePause is between two attempts, hostileMax how long one may last.
	hostilePause = 10 * time.Millisecond
	hostileMax   = 300 * time.Millisecond
	// hostileBytes is the largest piece of garbage.
	hostileBytes = 64 << 10
)

type stranger struct {
	Target
	repeated
}

// BelievedError is garbage that a node took for good. That is no failure of the
// nemesis, but of the store.
type BelievedError struct{ Node, Attempt, Answer string }

func (e *BelievedError) Error() string {
	return fmt.Sprintf("%s took %s and answered %s", e.Node, e.Attempt, e.Answer)
}

func (s *stranger) Hurt(context.Context) (string, error) {
	random := s.fork()
	s.begin(func(ctx context.Context) (time.Duration, error) {
		return hostilePause, s.attempt(ctx, random)
	})
	return "garbage at all ports", nil
}

func (s *stranger) Heal(context.Context) error { return s.end() }

// attempt sends one piece of garbage. A node may be down; the error is that somebody
// believed it.
func (s *stranger) attempt(ctx context.Context, r *rand.Rand) error {
	n, err := s.Cluster.Node(s.Nodes[r.IntN(len(s.Nodes))])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, hostileMax)
	defer cancel()
	switch r.IntN(4) {
	case 0:
		return badRequest(ctx, r, n.Name, n.HTTP)
	case 1: // gossip by UDP has no answer
		send(ctx, "udp", n.Gossip, garbage(r, 1400))
	default:
		stream(ctx, []string{n.Peer, n.Peer, n.Client, n.Gossip}[r.IntN(4)], garbage(r, hostileBytes))
	}
	return nil
}

// garbage is bytes by chance, now and then behind the length of a huge frame.
func garbage(r *rand.Rand, most int) []byte {
	b := make([]byte, 1+r.IntN(most))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if len(b) >= 4 && r.IntN(2) == 0 {
		binary.BigEndian.PutUint32(b, r.Uint32())
	}
	return b
}

func send(ctx context.Context, network, addr string, b []byte) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return // nobody is there
	}
	defer c.Close()
	_, _ = c.Write(b)
}

// stream sends garbage and waits for the end of the connection.
func stream(ctx context.Context, addr string, b []byte) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_, _ = c.Write(b)
	_, _ = io.Copy(io.Discard, c)
}

// badRequests are wrong: method, path and body.
var badRequests = [][3]string{
	{"PUT", "/v1/buckets/set/keys/x?w=99", "v"},
	{"PUT", "/v1/buckets/set/keys/x?ttl=-1s", "v"},
	{"PUT", "/v1/buckets/set/keys/x?timeout=forever", "v"},
	{"PUT", "/v1/buckets/set/keys/x?no_such_parameter=1", "v"},
	{"GET", "/v1/buckets/set/keys?cursor=AAAAAAAAAAAA", ""},
	{"GET", "/v1/buckets/%00/keys/%ff?r=0", ""},
	{"GET", "/v1/buckets/set/keys/" + strings.Repeat("k", 70_000), ""},
	{"PUT", "/v1/buckets/set/keys/x?request_id=zz", "v"},
	{"POST", "/v1/buckets/set", `{"siblings": "no", "unknown": [[[[[[[[`},
	{"PUT", "/v1/local/faults", `{"cuts":[{"peer":"","no_send":true}],"unknown":1}`},
	{"PUT", "/v1/local/faults", `{"delay":"99999h"}`},
	{"BREW", "/v1/buckets/set/keys/x", ""},
}

// badRequest sends a request that has to be refused with a code of 400 or more.
func badRequest(ctx context.Context, r *rand.Rand, node, addr string) error {
	try := badRequests[r.IntN(len(badRequests))]
	body := io.Reader(strings.NewReader(try[2]))
	req, err := http.NewRequestWithContext(ctx, try[0], "http://"+addr+try[1], body)
	if err != nil {
		return err
	}
	if r.IntN(4) == 0 { // a context that nobody made, with something that cannot be asked
		req.Header.Set("Kindred-Context", fmt.Sprintf("%x", garbage(r, 300)))
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // it is down, or does not even answer
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, 300))
	if res.StatusCode < http.StatusBadRequest {
		return &BelievedError{node, try[0] + " " + try[1], res.Status + " " + string(said)}
	}
	return nil
}
