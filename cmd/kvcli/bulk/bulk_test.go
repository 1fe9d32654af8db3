package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// drain reads a source to its end, as "line key value" or "line: problem".
func drain(t *testing.T, s Source) []string {
	t.Helper()
	var out []string
	for {
		r, err := s.Next()
		var row *RowError
		switch {
		case errors.Is(err, io.EOF):
			return out
		case errors.As(err, &row):
			out = append(out, row.Error())
		default:
			require.NoError(t, err)
			out = append(out, fmt.Sprintf("%d %s %s", r.Line, r.Key, r.Value))
		}
	}
}

func TestCSVRowsBecomeObjects(t *testing.T) {
	s, err := NewSource(strings.NewReader("\ufeffname,geonameid\n"+
		"les Escaldes,1\n"+
		"\"a \"\"b\"\" <c>\nd\",2\n"+
		"too,many,3\n"+
		",4\n"+
		"no key,\n"+
		"a\"b,5\n"+
		"last,6"), "csv", "geonameid")
	require.NoError(t, err)
	require.Equal(t, []string{
		`2 1 {"name":"les Escaldes","geonameid":"1"}`,
		`3 2 {"name":"a \"b\" <c>\nd","geonameid":"2"}`,
		`line 5: 3 fields, but the header has 2`,
		`6 4 {"name":"","geonameid":"4"}`,
		`line 7: the key is empty`,
		`line 8: bare " in non-quoted-field`,
		`9 6 {"name":"last","geonameid":"6"}`,
	}, drain(t, s))
}

func TestJSONLines(t *testing.T) {
	long := strings.Repeat("x", kindred.ValueBytesMax)
	s, err := NewSource(strings.NewReader(`{"id":"a","n":1}
{"id":7}

  {"id":"b"}  
[1]
{"name":"nobody"}
{"id":null}
{"id":true}
{"id":{"x":1}}
{"id":"`+strings.Repeat("k", kindred.KeyBytesMax+1)+`"}
{"id":"c","text":"`+long+`"}
{"id":"d"}`), "jsonl", "id")
	require.NoError(t, err)
	got := drain(t, s)
	require.Equal(t, []string{
		`1 a {"id":"a","n":1}`,
		`2 7 {"id":7}`,
		`4 b {"id":"b"}`,
	}, got[:3])
	require.Contains(t, got[3], "line 5: not a JSON object")
	require.Equal(t, []string{
		`line 6: no field "id"`,
		`line 7: the field "id" is neither a text nor a number`,
		`line 8: the field "id" is neither a text nor a number`,
		`line 9: the field "id" is neither a text nor a number`,
		`line 10: the key has 4097 bytes, the limit is 4096`,
		`line 11: longer than 8388608 bytes, the limit of a value`,
		`12 d {"id":"d"}`,
	}, got[4:])
}

func TestSourcesThatCannotBe(t *testing.T) {
	for _, c := range []struct{ text, format, key, want string }{
		{"", "csv", "a", "the file is empty"},
		{"a,b\n", "csv", "c", `no column "c": the header has a, b`},
		{"a,a\n", "csv", "a", `two columns "a"`},
		{"a\n", "xml", "a", `format "xml" is unknown`},
	} {
		_, err := NewSource(strings.NewReader(c.text), c.format, c.key)
		require.ErrorContains(t, err, c.want)
	}
	_, err := FormatOf("people.xls")
	require.ErrorContains(t, err, "--format")
}

// memory is a bucket in memory that counts what is in flight.
type memory struct {
	mu           sync.Mutex
	values       map[string][]string
	inFlight     int
	inFlightMost int
	fail         map[string]error
	gate         chan struct{} // if set, a put waits for it
}

func (m *memory) Get(_ context.Context, key string, _ ...client.CallOption) (*client.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &client.Object{Context: client.ContextOf([]byte("seen"))}
	for _, v := range m.values[key] {
		o.Siblings = append(o.Siblings, client.Sibling{Value: []byte(v)})
	}
	return o, nil
}

func (m *memory) Put(_ context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error) {
	var req kindred.Request
	for _, o := range opts {
		o(&req)
	}
	m.mu.Lock()
	m.inFlight++
	m.inFlightMost = max(m.inFlightMost, m.inFlight)
	m.mu.Unlock()
	if m.gate != nil {
		<-m.gate
	}
	for range rand.IntN(20) {
		runtime.Gosched() // writes take unequal times
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	if err := m.fail[key]; err != nil {
		return nil, err
	}
	if len(req.Context) > 0 {
		m.values[key] = nil
	}
	m.values[key] = append(m.values[key], string(value))
	return &client.Receipt{}, nil
}

func csvOf(t *testing.T, rows ...string) Source {
	t.Helper()
	s, err := NewSource(strings.NewReader("k,v\n"+strings.Join(rows, "\n")), "csv", "k")
	require.NoError(t, err)
	return s
}

func TestAnImportCountsEveryRow(t *testing.T) {
	broken := errors.New("no quorum")
	m := &memory{values: map[string][]string{
		"same":  {`{"k":"same","v":"1"}`},
		"other": {"x", "y"},
	}, fail: map[string]error{"bad": broken}}
	var last int64
	var mu sync.Mutex
	sum, err := Run(t.Context(), csvOf(t, "new,1", "same,1", "other,1", "bad,1", "a,b,c"), m, Options{
		Concurrency: 3, Progress: func(n int64) { mu.Lock(); last = max(last, n); mu.Unlock() },
	})
	require.NoError(t, err)
	slices.SortFunc(sum.Failures, func(a, b Failure) int { return a.Line - b.Line })
	require.Equal(t, Summary{
		Stored: 2, Unchanged: 1, Replaced: 1, BadRows: 1, Failed: 1,
		Failures: []Failure{{Line: 5, Key: "bad", Err: broken}, {Line: 6, Err: &RowError{6, "3 fields, but the header has 2"}}},
	}, sum)
	require.EqualValues(t, 5, last)
	require.Equal(t, []string{`{"k":"other","v":"1"}`}, m.values["other"], "a record replaces siblings that it has seen")
}

// The last record of a key remains, whatever the concurrency.
func TestRecordsOfOneKeyKeepTheirOrder(t *testing.T) {
	var rows []string
	for i := range 200 {
		rows = append(rows, fmt.Sprintf("k%d,%d", i%5, i))
	}
	m := &memory{values: map[string][]string{}}
	sum, err := Run(t.Context(), csvOf(t, rows...), m, Options{Concurrency: 16})
	require.NoError(t, err)
	require.EqualValues(t, 200, sum.Stored)
	for k := range 5 {
		key := fmt.Sprintf("k%d", k)
		require.Equal(t, []string{fmt.Sprintf(`{"k":%q,"v":"%d"}`, key, 195+k)}, m.values[key])
	}
}

func TestWhatIsInFlightIsBounded(t *testing.T) {
	m := &memory{values: map[string][]string{}, gate: make(chan struct{})}
	done := make(chan Summary)
	var rows []string
	for i := range 500 {
		rows = append(rows, fmt.Sprintf("k%d,%d", i, i))
	}
	go func() {
		sum, _ := Run(t.Context(), csvOf(t, rows...), m, Options{Concurrency: 4, Blind: true})
		done <- sum
	}()
	for range rows {
		m.gate <- struct{}{}
	}
	require.EqualValues(t, 500, (<-done).Stored)
	require.LessOrEqual(t, m.inFlightMost, 4)
}

func TestFailuresAreBoundedAndCounted(t *testing.T) {
	rows := slices.Repeat([]string{"a,b,c"}, FailuresKept+50)
	sum, err := Run(t.Context(), csvOf(t, rows...), &memory{values: map[string][]string{}}, Options{})
	require.NoError(t, err)
	require.EqualValues(t, FailuresKept+50, sum.BadRows)
	require.Len(t, sum.Failures, FailuresKept)
}

// An import that is interrupted says so, and does not call a failure what it did
// not try.
func TestAnImportCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rows := slices.Repeat([]string{"a,1"}, 1000)
	sum, err := Run(ctx, csvOf(t, rows...), &memory{values: map[string][]string{}}, Options{Concurrency: 2})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, sum)
}

func TestASourceThatBreaksEndsTheImport(t *testing.T) {
	s, err := NewSource(io.MultiReader(bytes.NewBufferString("k,v\na,1\n"), brokenReader{}), "csv", "k")
	require.NoError(t, err)
	sum, err := Run(t.Context(), s, &memory{values: map[string][]string{}}, Options{})
	require.ErrorContains(t, err, "the disk is gone")
	require.EqualValues(t, 1, sum.Stored)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }
