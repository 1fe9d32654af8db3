package nemesis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindredkv/kindred/local/netns"
)

// errNoWire is a nemesis of packets where no packets pass.
var errNoWire = errors.New("the nodes are not in network namespaces: packets between them cannot be had")

// inSandbox says that a kind needs namespaces, and why there are none.
func inSandbox() error {
	if netns.Inside() {
		return nil
	}
	if err := netns.Missing(); err != nil {
		return err
	}
	return errors.New("the program is not in namespaces of its own: run it with --netns")
}

const sandboxNeeds = "root, and network namespaces (--netns)"

// wireKind is a kind that orders weather between nodes.
func wireKind(name, doc, holds string, hurt func(context.Context, Target) (string, error)) Kind {
	return Kind{
		Name: name, Touches: Network, NodesMin: 2, Doc: doc, Holds: holds,
		Needs: sandboxNeeds, Missing: inSandbox,
		New: func(t Target) Nemesis { return &weather{t, hurt} },
	}
}

type weather struct {
	Target
	hurt func(context.Context, Target) (string, error)
}

func (w *weather) Hurt(ctx context.Context) (string, error) {
	if w.Wire == nil {
		return "nothing", errNoWire
	}
	return w.hurt(ctx, w.Target)
}

func (w *weather) Heal(context.Context) error {
	if w.Wire != nil {
		w.Wire.Heal()
	}
	return nil
}

// wireCut loses packets: connections stay as they are until TCP gives them up.
func wireCut() Kind {
	return wireKind("wire-cut",
		"a packet filter loses every packet between a minority of the nodes and the others, in one direction or both",
		sloppily,
		func(_ context.Context, t Target) (string, error) {
			from, to := t.Few()
			if t.Random.IntN(2) == 0 {
				from, to = to, from
			}
			both := t.Random.IntN(3) > 0
			t.between(from, to, both, netns.Weather{Cut: true})
			return strings.Join(from, ",") + map[bool]string{true: " | ", false: " -/-> "}[both] + strings.Join(to, ",") + ", every packet lost", nil
		})
}

// wireLoss loses and doubles some packets.
func wireLoss() Kind {
	return wireKind("wire-loss",
		"up to a third of the packets between a minority of the nodes and the others are lost, and as many arrive twice",
		"everything; with so many packets lost TCP may stand still for seconds",
		func(_ context.Context, t Target) (string, error) {
			few, most := t.Few()
			w := netns.Weather{Lose: 0.01 + 0.3*t.Random.Float64(), Double: 0.3 * t.Random.Float64()}
			t.between(few, most, true, w)
			return strings.Join(few, ",") + " - " + strings.Join(most, ",") + " " + w.String(), nil
		})
}

// wireLate makes packets late, each by another time: they overtake one another.
func wireLate() Kind {
	return wireKind("wire-late",
		"packets between all nodes are late by up to 100 ms, now and then by up to 3 s, and overtake one another",
		"everything",
		func(_ context.Context, t Target) (string, error) {
			ms := func(most int) time.Duration { return time.Duration(1+t.Random.IntN(most)) * time.Millisecond }
			w := netns.Weather{Delay: ms(50), Jitter: ms(50)}
			if t.Random.IntN(2) == 0 {
				w.Tail = ms(3000)
			}
			t.between(t.Nodes, t.Nodes, true, w)
			return "all " + w.String(), nil
		})
}

// wireSpoil turns over bits that TCP does not notice.
func wireSpoil() Kind {
	return wireKind("wire-spoil",
		"of up to one in fifty packets on the links between nodes a bit is turned over, and the checksum of TCP is right",
		"everything: frames have a checksum of their own, and a link that has spoilt one is made anew",
		func(_ context.Context, t Target) (string, error) {
			few, most := t.Few()
			w := netns.Weather{Spoil: 0.002 + 0.018*t.Random.Float64()}
			for _, side := range [][]string{few, most} {
				for _, name := range side {
					n, err := t.Cluster.Node(name)
					if err != nil {
						return "", err
					}
					// Links go to the peer ports of both sides; of gossip there is no checksum.
					_, port, _ := strings.Cut(n.Peer[strings.LastIndex(n.Peer, ":"):], ":")
					p, err := strconv.ParseUint(port, 10, 16)
					if err != nil {
						return "", err
					}
					w.SpoilPorts = append(w.SpoilPorts, uint16(p))
				}
			}
			t.between(few, most, true, w)
			return strings.Join(few, ",") + " - " + strings.Join(most, ",") + " " + w.String(), nil
		})
}

// between orders weather from some nodes to others, and back if it is for both.
func (t Target) between(from, to []string, both bool, w netns.Weather) {
	for _, f := range from {
		for _, o := range to {
			i, j := slices.Index(t.Nodes, f), slices.Index(t.Nodes, o)
			if i == j {
				continue
			}
			t.Wire.Set(i, j, w)
			if both {
				t.Wire.Set(j, i, w)
			}
		}
	}
}
