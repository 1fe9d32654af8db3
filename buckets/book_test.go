package buckets

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

var seed = flag.Uint64("seed", 0, "play this storm alone")

var cluster = [16]byte{1}

// world is a few nodes with disks, links that come and go, and a network that
// loses, repeats and reorders.
type world struct {
	t       *testing.T
	now     time.Time
	names   []string
	books   map[string]*Book
	disks   map[string][]byte
	linked  map[[2]string]bool
	flying  []flight
	answers []Answer
	notes   map[string][]string
}

type flight struct {
	from, to string
	letter   Letter
}

func newWorld(t *testing.T, names ...string) *world {
	w := &world{t: t, now: epoch, names: names, books: map[string]*Book{}, disks: map[string][]byte{}, linked: map[[2]string]bool{}, notes: map[string][]string{}}
	for _, n := range names {
		w.start(n)
	}
	return w
}

func (w *world) start(node string) {
	book, err := NewBook(node, w.disks[node])
	require.NoError(w.t, err)
	w.books[node] = book
}

// carryOut does what a book wants, in its order (B2).
func (w *world) carryOut(node string) {
	out := w.books[node].Take()
	if out.Save != nil {
		w.disks[node] = out.Save
	}
	if out.Registry != nil {
		require.Equal(w.t, w.disks[node], out.Registry.Bytes(), "%s works by what it has saved (B2)", node)
	}
	for _, s := range out.Sends {
		require.True(w.t, w.linked[[2]string{node, s.To}], "%s sends to %s, which it is not linked to", node, s.To)
		w.flying = append(w.flying, flight{node, s.To, s.Letter})
	}
	w.answers = append(w.answers, out.Answers...)
	w.notes[node] = append(w.notes[node], out.Notes...)
}

func (w *world) link(a, b string, up bool) {
	for _, ends := range [...][2]string{{a, b}, {b, a}} {
		if w.linked[ends] == up {
			continue
		}
		w.linked[ends] = up
		if up {
			w.books[ends[0]].LinkUp(w.now, cluster, ends[1])
		} else {
			w.books[ends[0]].LinkDown(w.now, ends[1])
		}
		w.carryOut(ends[0])
	}
}

func (w *world) linkAll() {
	for i, a := range w.names {
		for _, b := range w.names[:i] {
			w.link(a, b, true)
		}
	}
}

// crash loses everything but the disk.
func (w *world) crash(node string) {
	for _, other := range w.names {
		if other != node {
			w.link(node, other, false)
		}
	}
	w.start(node)
}

func (w *world) change(node, bucket string, count kindred.Count, token uint64) {
	err := w.books[node].Change(w.now, cluster, token, kindred.BucketChange{Bucket: bucket, Options: options(count)}, 3)
	if err != nil {
		require.NoError(w.t, err)
	}
	w.carryOut(node)
}

func (w *world) deliver(i int) {
	f := w.flying[i]
	w.flying = append(w.flying[:i:i], w.flying[i+1:]...)
	w.books[f.to].Received(w.now, cluster, f.from, f.letter)
	w.carryOut(f.to)
}

// rest lets everything arrive, and time pass.
func (w *world) rest(d time.Duration) {
	for end := w.now.Add(d); ; w.now = w.now.Add(time.Second) {
		for len(w.flying) > 0 {
			w.deliver(0)
		}
		if !w.now.Before(end) {
			return
		}
		for _, n := range w.names {
			w.books[n].Tick(w.now, cluster)
			w.carryOut(n)
		}
	}
}

// TestTwoOperatorsOnTwoSidesOfACut: each side creates buckets, one of them twice;
// in the end there is one registry, and both sides say which choice was dropped.
func TestTwoOperatorsOnTwoSidesOfACut(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3", "n4")
	w.link("n1", "n2", true)
	w.link("n3", "n4", true)
	w.rest(time.Second)
	w.change("n1", "left", 1, 1)
	w.change("n3", "right", 2, 2)
	w.change("n2", "carts", 1, 3)
	w.change("n3", "carts", 3, 4)
	w.rest(time.Second)
	require.Len(t, w.answers, 4, "nobody waits for who cannot be reached")

	w.linkAll()
	w.rest(3 * time.Second)
	for _, n := range w.names {
		require.Equal(t, w.books["n1"].Registry().Bytes(), w.books[n].Registry().Bytes(), n)
		require.Equal(t, w.disks["n1"], w.disks[n], n)
	}
	got, _ := w.books["n1"].Registry().Options("carts")
	require.Equal(t, kindred.Count(3), got.W, "of two first changes the one of the larger name goes on")
	require.Equal(t, 3, w.books["n1"].Registry().Len())
	for _, n := range []string{"n2", "n3"} {
		require.NotEmpty(t, w.notes[n], "%s is told", n)
		require.Contains(t, w.notes[n][0], `bucket "carts" was changed on two sides of a cut`)
	}
}

// TestAChangeWaitsForThosWhoCanHear: the answer says who goes by it, and a peer that
// stays silent costs its patience once.
func TestAChangeWaitsForThoseWhoCanHear(t *testing.T) {
	w := newWorld(t, "n1", "n2", "n3")
	w.linkAll()
	w.rest(time.Second)
	w.change("n1", "carts", 1, 7)
	require.Empty(t, w.answers, "nobody has confirmed it yet")
	w.rest(0)
	require.Equal(t, []Answer{{Token: 7, Bucket: "carts", KnownBy: []string{"n2", "n3"}}}, w.answers)

	w.answers = nil
	w.change("n1", "carts", 2, 8)
	w.flying = w.flying[:1] // n3 hears nothing
	w.deliver(0)
	w.deliver(0)
	require.Empty(t, w.answers)
	w.now = w.now.Add(Patience)
	w.books["n1"].Tick(w.now, cluster)
	w.carryOut("n1")
	require.Equal(t, []Answer{{Token: 8, Bucket: "carts", KnownBy: []string{"n2"}}}, w.answers)

	w.answers = nil
	w.change("n1", "carts", 3, 9)
	w.link("n1", "n3", false)
	w.rest(0)
	require.Equal(t, []Answer{{Token: 9, Bucket: "carts", KnownBy: []string{"n2"}}}, w.answers, "a link that breaks is not waited for")
}

func TestChangesThatWaitAreBounded(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	w.linkAll()
	for i := range WaitersMax + 3 {
		w.change("n1", "carts", kindred.Count(1+i%2), uint64(i))
	}
	require.Len(t, w.books["n1"].waiters, WaitersMax)
	require.Len(t, w.answers, 3, "those beyond are answered with what is known")
}

func TestABucketThatExistsIsNotCreatedAgain(t *testing.T) {
	w := newWorld(t, "n1")
	w.change("n1", "carts", 1, 1)
	create := kindred.BucketChange{Bucket: "carts", Options: options(2), CreateOnly: true}
	err := w.books["n1"].Change(w.now, cluster, 2, create, 3)
	require.EqualError(t, err, `invalid: the bucket "carts" exists with other options (n=3 r=quorum w=1 sloppy=true siblings=keep durability=batch max-value-bytes=8388608 ttl=none): change it if you mean to, or use another name`)
	create.Options = options(1)
	require.Nil(t, w.books["n1"].Change(w.now, cluster, 3, create, 3), "who asks for what is there has it")
	require.Equal(t, uint64(1), w.books["n1"].Registry().Bucket("carts", 3).Version)
}

// TestOthersAreIgnored is B5, and what a node does with bytes that are none.
func TestOthersAreIgnored(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	w.linkAll()
	r := changed(t, nil, "foreign", 1, "x")
	b := w.books["n1"]
	b.Received(w.now, cluster, "n2", Letter{Cluster: [16]byte{9}, Hash: r.Hash(), Registry: r.Bytes()})
	b.Received(w.now, [16]byte{}, "n2", Letter{Hash: r.Hash(), Registry: r.Bytes()})
	b.Received(w.now, cluster, "stranger", Letter{Cluster: cluster, Hash: r.Hash(), Registry: r.Bytes()})
	require.Zero(t, b.Registry().Len())
	for range 3 {
		b.Received(w.now, cluster, "n2", Letter{Cluster: cluster, Hash: 1, Registry: []byte{9}})
	}
	w.carryOut("n1")
	require.Equal(t, []string{"ignoring the buckets that n2 sent: unreadable bucket registry: format version 9, this program knows 1: upgrade the older node"}, w.notes["n1"], "said once")
}

// TestAPeerThatNeverAnswersIsSentLessAndLess: one that does not know buckets.
func TestAPeerThatNeverAnswersIsSentLessAndLess(t *testing.T) {
	w := newWorld(t, "n1", "n2")
	w.linkAll()
	w.flying = nil
	for range 600 {
		w.now = w.now.Add(time.Second)
		w.books["n1"].Tick(w.now, cluster)
		w.carryOut("n1")
	}
	require.Less(t, len(w.flying), 20)
	require.Greater(t, len(w.flying), 9)
}

// TestStorm: nodes change buckets while links break, messages are lost, repeated
// and late, and nodes crash; once that is over all hold one registry, nothing that
// was answered is missing in it, and then there is silence.
func TestStorm(t *testing.T) {
	first, last := uint64(1), uint64(200)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	for s := first; s <= last; s++ {
		storm(t, s)
	}
}

func storm(t *testing.T, s uint64) {
	r := rand.New(rand.NewPCG(s, 0xB0C))
	w := newWorld(t, "n1", "n2", "n3", "n4", "n5")
	pick := func() string { return w.names[r.IntN(len(w.names))] }
	latest := map[string]uint64{} // the largest counter of each bucket that a node ever saved
	for token := range 200 {
		switch a, b := pick(), pick(); r.IntN(8) {
		case 0:
			bucket := fmt.Sprintf("b%d", r.IntN(4))
			w.change(a, bucket, kindred.Count(1+r.IntN(3)), uint64(token))
			latest[bucket] = max(latest[bucket], w.books[a].Registry().entry(bucket).Version.Counter)
		case 1, 2:
			if a != b {
				w.link(a, b, r.IntN(3) > 0)
			}
		case 3:
			if r.IntN(4) == 0 {
				w.crash(a)
			}
		case 4:
			w.now = w.now.Add(time.Duration(r.IntN(1500)) * time.Millisecond)
			w.books[a].Tick(w.now, cluster)
			w.carryOut(a)
		default:
			if len(w.flying) == 0 {
				continue
			}
			i := r.IntN(len(w.flying))
			switch r.IntN(6) {
			case 0:
				w.flying = append(w.flying[:i:i], w.flying[i+1:]...) // lost
			case 1:
				w.flying = append(w.flying, w.flying[i]) // comes again
			default:
				w.deliver(i)
			}
		}
	}
	w.linkAll()
	w.rest(3 * ResendMax)
	for _, n := range w.names {
		require.Equal(t, w.books["n1"].Registry().Bytes(), w.books[n].Registry().Bytes(), "storm %d: %s differs (play it with -seed %d)", s, n, s)
		require.Equal(t, w.books[n].Registry().Bytes(), append([]byte{}, orEmpty(w.disks[n])...), "storm %d: the disk of %s", s, n)
		require.Empty(t, w.books[n].waiters, "storm %d", s)
	}
	for bucket, counter := range latest {
		require.GreaterOrEqual(t, w.books["n1"].Registry().entry(bucket).Version.Counter, counter, "storm %d: a change of %s is lost", s, bucket)
	}
	for _, n := range w.names {
		w.books[n].Tick(w.now.Add(time.Hour), cluster)
		require.Empty(t, w.books[n].Take().Sends, "storm %d: %s goes on talking", s, n)
	}
	for _, notes := range w.notes {
		for _, note := range notes {
			require.True(t, strings.HasPrefix(note, "bucket "), note)
		}
	}
}

func orEmpty(disk []byte) []byte {
	if disk == nil {
		return (*Registry)(nil).Bytes()
	}
	return disk
}
