package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// solo is a shard of a cluster of one that is recorded.
type solo struct {
	t            *testing.T
	store        *memstore.Store
	shard        *Shard
	header       Header
	file         []byte
	now          time.Time
	pages, looks uint64
	answers      []*kindred.Response
}

func newSolo(t *testing.T) *solo {
	s := &solo{t: t, store: memstore.New(), now: time.Now().UTC()}
	s.header = Header{
		Version: "test", Node: "n1", Start: 1, Shards: 1, Actor: vclock.Actor{Disk: 1, Nonce: 2},
		Limits: core.DefaultLimits(), Began: s.now.Round(0), File: 1,
	}
	var err error
	s.file, err = AppendHeader(nil, s.header)
	require.NoError(t, err)
	tape := NewTape(s.now, func(events []byte) bool { s.file = append(s.file, events...); return true })
	s.shard = New(core.Config{Node: "n1", Start: s.header.Actor, Limits: s.header.Limits}, tape)
	layout, err := ring.New([16]byte{1}, 1, 1, []ring.Node{{Name: "n1", Capacity: 1}})
	require.NoError(t, err)
	snapshot, err := s.store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	mine := s.header.Mine
	require.NoError(t, s.shard.RecoverHints(snapshot, mine))
	require.NoError(t, s.shard.RecoverPromises(snapshot, mine))
	r, err := s.shard.Recover(replica.ID{N: 1}, snapshot)
	require.NoError(t, err)
	s.shard.SetPhase(ring.Steady(layout), []*replica.Replica{r})
	s.settle()
	return s
}

// do asks for something, and carries out all that comes of it.
func (s *solo) do(op kindred.Op, key, value string) *kindred.Response {
	s.answers = nil
	s.step(func(now time.Time) {
		s.shard.Request(now, 1, &kindred.Request{Op: op, Bucket: "b", Key: key, Value: []byte(value)})
	})
	require.Len(s.t, s.answers, 1)
	return s.answers[0]
}

func (s *solo) step(do func(now time.Time)) {
	s.now = s.now.Add(time.Millisecond)
	do(s.shard.Now(s.now))
	s.settle()
}

func (s *solo) settle() {
	for !s.shard.Effects().Empty() {
		now := s.shard.Now(s.now)
		out := s.shard.Take()
		require.NoError(s.t, s.store.Apply(&out.Rows))
		snapshot, err := s.store.Snapshot()
		require.NoError(s.t, err)
		for _, r := range out.Replies {
			s.answers = append(s.answers, r.Response)
		}
		var after []func()
		for _, l := range out.Loads {
			reads := NewLog(nil)
			object, err := replica.Load(reads.Reader(s.store), l.Replica, l.Bucket, l.Key)
			after = append(after, func() { s.shard.Loaded(now, l.Row, object, reads, err) })
		}
		for _, ask := range out.Pages {
			number := s.pages
			s.pages++
			base, _ := s.shard.Base(replica.ID(ask.Head))
			page := replica.Page(snapshot, replica.ID(ask.Head), base, ask)
			after = append(after, func() { s.shard.Paged(now, number, ask, page) })
		}
		for _, l := range out.Looks {
			number := s.looks
			s.looks++
			read := l.Begin()
			reads := NewLog(func(part []byte) { s.shard.Reads(number, part) })
			seen := read(reads.Snapshot(snapshot))
			after = append(after, func() { s.shard.Seen(now, number, reads, seen) })
		}
		if syncs := append([]uint64(nil), out.Syncs...); len(syncs) > 0 {
			after = append(after, func() { s.shard.Synced(syncs) })
		}
		out.Reset()
		for _, f := range after {
			f()
		}
	}
	s.shard.Flush()
}

// play plays a file to its end.
func play(t *testing.T, file []byte) (steps uint64, p *Player, err error) {
	reader, err := NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	p, err = NewPlayer(reader.Header)
	require.NoError(t, err)
	for {
		step, e, err := reader.Next()
		if err != nil {
			return step, p, err
		}
		if _, err := p.Play(e); err != nil {
			return step, p, err
		}
	}
}

// work does some of everything that one shard can do by itself.
func (s *solo) work() {
	for i := range 30 {
		key := fmt.Sprint("k", i%5)
		require.Nil(s.t, s.do(kindred.OpPut, key, fmt.Sprint("v", i)).Err)
		require.Nil(s.t, s.do(kindred.OpGet, key, "").Err)
		if i%3 == 0 {
			require.Nil(s.t, s.do(kindred.OpDelete, key, "").Err)
		}
	}
	require.Nil(s.t, s.do(kindred.OpScan, "", "").Err)
	require.Nil(s.t, s.do(kindred.OpPut, "large", string(make([]byte, 3*spillBytes))).Err)
	s.step(func(now time.Time) { s.shard.Repair(now, -1) })
	for range 200 {
		s.now = s.now.Add(time.Second)
		s.step(func(now time.Time) { s.shard.Tick(now) })
	}
	s.shard.SetFull(&kindred.Error{Code: kindred.CodeDiskFull, Outcome: kindred.NotApplied, Message: "full"})
	require.Equal(s.t, kindred.CodeDiskFull, s.do(kindred.OpPut, "k", "").Err.Code)
	s.shard.SetFull(nil)
	s.step(func(time.Time) { s.shard.Checkpoint() })
	s.step(func(time.Time) { s.shard.Drain() })
	s.step(func(time.Time) { s.shard.Resume() })
}

func TestAShardIsPlayedAgain(t *testing.T) {
	s := newSolo(t)
	s.work()
	steps, p, err := play(t, s.file)
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, steps, uint64(300))
	require.Equal(t, s.shard.tape.out.sum, p.Sum())
	require.NotZero(t, p.Sum())
}

// What is done for a shard with a tape costs nothing without one.
func TestWithoutATapeNothingIsAllocated(t *testing.T) {
	bare := core.New(core.Config{Node: "n1", Limits: core.DefaultLimits()})
	off := New(core.Config{Node: "n1", Limits: core.DefaultLimits()}, nil)
	m, now := &wire.WriteAck{}, time.Unix(1, 0)
	require.Equal(t,
		testing.AllocsPerRun(100, func() { bare.Message(now, "n2", m); bare.Tick(now); bare.Effects().Reset() }),
		testing.AllocsPerRun(100, func() {
			off.Message(off.Now(now), "n2", m)
			off.Tick(now)
			off.Settled(0)
			off.Take().Reset()
			off.Flush()
		}))
	var log *Log
	store := memstore.New()
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = log.Reader(store); _ = log.Snapshot(nil); _ = log.Bytes() }))
}

// events takes a file apart.
func events(t *testing.T, file []byte) (header []byte, list []*Event) {
	reader, err := NewReader(bytes.NewReader(file))
	require.NoError(t, err)
	for {
		_, e, err := reader.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		list = append(list, e)
	}
	header, err = AppendHeader(nil, reader.Header)
	require.NoError(t, err)
	return header, list
}

func join(header []byte, list []*Event) []byte {
	for _, e := range list {
		header = appendFrame(header, e.appendTo(nil))
	}
	return header
}

// A core that does something else than the recorded one has a step at which it begins.
func TestTheFirstStepThatDiffersIsNamed(t *testing.T) {
	s := newSolo(t)
	s.work()
	header, list := events(t, s.file)
	require.Equal(t, s.file, join(header, list), "nothing is lost in reading and writing")
	changed := func(what Kind, change func(e *Event)) (at uint64, err error) {
		header, list := events(t, s.file)
		for i := len(list) / 2; i < len(list); i++ {
			if list[i].Kind == what {
				change(list[i])
				_, _, err := play(t, join(header, list))
				return uint64(i), err
			}
		}
		t.Fatalf("no %v", what)
		return 0, nil
	}
	for _, c := range []struct {
		name   string
		kind   Kind
		change func(e *Event)
		why    string
	}{
		{"another key", Request, func(e *Event) { e.Request.Key += "x" }, "what came out of it is not what came then"},
		{"another token", Request, func(e *Event) { e.Number++ }, ""},
		{"another row", Loaded, func(e *Event) { e.Reads = nil }, "where it read nothing more"},
		{"no row", Loaded, func(e *Event) { e.Row = "x" }, "object key"},
		{"another look", Seen, func(e *Event) { e.Number += 1000 }, "it has not asked for look"},
		{"more was read", Seen, func(e *Event) { e.Reads = append(bytes.Clone(e.Reads), askedGet) }, "it reads"},
	} {
		at, err := changed(c.kind, c.change)
		var diverged *DivergedError
		require.ErrorAs(t, err, &diverged, c.name)
		require.ErrorContains(t, err, c.why, c.name)
		if c.why != "" {
			require.Equal(t, at, diverged.Step, c.name)
		} else {
			require.GreaterOrEqual(t, diverged.Step, at, c.name)
		}
	}
}

// A shard that panics does so again, and the step is named.
func TestAPanicIsPlayedAgain(t *testing.T) {
	s := newSolo(t)
	_, list := events(t, s.file)
	p, err := NewPlayer(s.header)
	require.NoError(t, err)
	for _, e := range list {
		_, err := p.Play(e)
		require.NoError(t, err)
	}
	_, err = p.Play(&Event{Kind: Request, Sum: p.Sum()}) // no request at all
	var panics *PanicError
	require.ErrorAs(t, err, &panics)
	require.Equal(t, uint64(len(list)), panics.Step)
	require.Contains(t, panics.Stack, "core")
}

func TestAFileThatIsCutOffIsPlayedUpToThere(t *testing.T) {
	s := newSolo(t)
	require.Nil(t, s.do(kindred.OpPut, "k", "v").Err)
	_, list := events(t, s.file)
	header, err := AppendHeader(nil, s.header)
	require.NoError(t, err)
	for cut := range len(header) {
		_, err := NewReader(bytes.NewReader(s.file[:cut]))
		require.ErrorIs(t, err, ErrTorn, "%d of %d bytes", cut, len(header))
	}
	for cut := len(header); cut < len(s.file); cut++ {
		steps, _, err := play(t, s.file[:cut])
		if !errors.Is(err, io.EOF) { // cut between two
			require.ErrorIs(t, err, ErrTorn, "%d of %d bytes", cut, len(s.file))
		}
		require.Less(t, steps, uint64(len(list)))
	}
	_, _, err = play(t, append(bytes.Clone(s.file), make([]byte, 100)...))
	require.ErrorIs(t, err, ErrTorn, "a disk that lost power leaves zeros")
}

func TestAByteThatChangedIsNoticedAtItsStep(t *testing.T) {
	s := newSolo(t)
	require.Nil(t, s.do(kindred.OpPut, "k", "v").Err)
	header, list := events(t, s.file)
	at := len(header)
	for i, e := range list {
		size := len(appendFrame(nil, e.appendTo(nil)))
		for _, offset := range []int{0, 1, 2, 3, 4, 8, frameBytes, size - 1} {
			file := bytes.Clone(s.file)
			file[at+offset] ^= 1
			step, _, err := play(t, file)
			require.ErrorIs(t, err, ErrDamaged, "byte %d of step %d: a size that points beyond the end is no end", offset, i)
			require.EqualValues(t, i, step)
		}
		at += size
	}
	zeros := bytes.Clone(s.file)
	clear(zeros[len(header) : len(header)+frameBytes])
	_, _, err := play(t, zeros)
	require.ErrorIs(t, err, ErrDamaged, "zeros in the midst are no end")
	_, err = NewReader(bytes.NewReader([]byte("something else")))
	require.ErrorIs(t, err, ErrForeign)
	other := bytes.Replace(s.file, fmt.Appendf(nil, `"Form":%d`, Form), []byte(`"Form":9`), 1)
	size := binary.BigEndian.Uint32(other[len(magic):])
	copy(other[len(magic):], appendFrame(nil, other[len(magic)+frameBytes:][:size]))
	_, err = NewReader(bytes.NewReader(other))
	require.ErrorContains(t, err, fmt.Sprintf("form 9, this program reads %d", Form))
}

// The wall clock may be wrong: the time of events is not, and the shard is told.
func TestTheWallClockIsGivenApart(t *testing.T) {
	s := newSolo(t)
	before := s.shard.Now(s.now)
	require.Equal(t, s.now.Round(0), before)
	s.shard.SetWall(time.Hour)
	put := s.do(kindred.OpPut, "k", "v")
	require.Nil(t, put.Err)
	got := s.do(kindred.OpGet, "k", "")
	require.WithinDuration(t, s.now.Add(time.Hour), got.Siblings[0].WrittenAt, time.Second)
	_, p, err := play(t, s.file)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, s.shard.tape.out.sum, p.Sum())
}

// Every field of a request is recorded: it is given before anything of it is refused.
func TestEveryFieldOfARequestIsRecorded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &kindred.Request{}
		fill(t, reflect.ValueOf(q).Elem())
		e := &Event{Kind: Request, At: 5, Sum: 7, Number: 9, Request: q}
		back, err := decode(e.appendTo(nil))
		require.NoError(t, err)
		require.Equal(t, e, back)
	})
}

// fill draws a value for every field.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(1, 1e10).Draw(t, "s"), 5).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.String:
		v.SetString(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
	case reflect.Slice:
		v.SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes"))
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Int, reflect.Int64, reflect.Int8, reflect.Int16, reflect.Int32:
		v.SetInt(int64(rapid.Int8().Draw(t, "number")))
	default:
		t.Fatalf("no way to fill a %v", v.Type())
	}
}

func TestTheStoresErrorsComeBack(t *testing.T) {
	damage := &storage.CorruptError{Key: []byte("k"), File: "f", Low: []byte("a"), High: []byte("z"), Resume: []byte("m"), Cause: errors.New("checksum")}
	for _, want := range []error{nil, storage.ErrNotFound, storage.ErrClosed, damage, errors.New("odd")} {
		d := &decoder{b: appendError(nil, want)}
		require.Equal(t, want, d.error())
		require.NoError(t, d.err)
		require.Empty(t, d.b)
	}
}

func TestHostileEventsEndInAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "event")
		if e, err := decode(b); err == nil {
			_ = e.Text()
		}
	})
}

// Who bounds the files of a node has to know them by their names alone.
func TestAFilesNameTellsItsNodeAndRecording(t *testing.T) {
	h := Header{Node: "n1-x", Start: 3, Shard: 2, File: 7, Actor: vclock.Actor{Nonce: 0xabcd}}
	require.Equal(t, "n1-x-000003-0000abcd-002-000007.rec", h.FileName())
	node, tape, ok := ParseFileName(h.FileName())
	require.True(t, ok)
	require.Equal(t, "n1-x", node)
	require.Equal(t, "n1-x-000003-0000abcd-002", tape)
	for _, name := range []string{"", "n1.rec", "-000003-0000abcd-002-000007.rec", "n1-000003-0000abcd-002-000007.rec.txt"} {
		_, _, ok := ParseFileName(name)
		require.False(t, ok, name)
	}
}
