package gossip

import (
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// diary keeps the events of one node.
type diary struct {
	mu     sync.Mutex
	events []Event
}

func (d *diary) add(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// count is how many events there were.
func (d *diary) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// tells reports whether an event of that kind about that name was seen.
func (d *diary) tells(k Kind, name string) bool { return d.last(k, name) != nil }

// last is the newest such event, or nil.
func (d *diary) last(k Kind, name string) *Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.events) - 1; i >= 0; i-- {
		if e := d.events[i]; e.Kind == k && e.Name == name {
			return &e
		}
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// join starts a node on loopback.
func join(t *testing.T, name, meta string, seeds ...string) (*Gossip, *diary) {
	t.Helper()
	d := &diary{}
	g, err := Start(Config{
		Name: name, BindAddr: "127.0.0.1:0", Meta: []byte(meta), Seeds: seeds,
		Events: d.add, Logger: quiet(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { g.Close() })
	return g, d
}

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, 15*time.Second, 5*time.Millisecond)
}

func TestNodesFindOneAnotherThroughASeed(t *testing.T) {
	one, diaryOne := join(t, "n1", "zone a")
	two, diaryTwo := join(t, "n2", "zone b", one.Addr())
	_, diaryThree := join(t, "n3", "zone c", two.Addr(), one.Addr())

	eventually(t, func() bool {
		return len(one.Members()) == 2 && diaryOne.tells(Joined, "n2") && diaryThree.tells(Joined, "n1")
	})
	require.Equal(t, "zone b", string(diaryOne.last(Joined, "n2").Meta))
	require.Equal(t, two.Addr(), diaryOne.last(Joined, "n2").Addr)

	t.Log("a new meta reaches the others")
	require.NoError(t, one.UpdateMeta([]byte("zone z")))
	eventually(t, func() bool {
		e := diaryTwo.last(Updated, "n1")
		return e != nil && string(e.Meta) == "zone z"
	})
}

// Memberlist reads its own record without a lock: the race detector watches.
func TestANodeMayLeaveWhileItTellsOfItself(t *testing.T) {
	for range 50 {
		g, _ := join(t, "n1", "")
		begun := make(chan struct{})
		var telling sync.WaitGroup
		telling.Go(func() {
			for i := range 1000 {
				if err := g.UpdateMeta([]byte{byte(i)}); err != nil {
					t.Error(err)
				}
				if i == 50 {
					close(begun)
				}
			}
		})
		<-begun
		require.NoError(t, g.Leave(time.Second))
		telling.Wait()
		require.NoError(t, g.Close())
	}
}
