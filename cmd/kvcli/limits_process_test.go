package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// TestWhatIsOutOfRangeIsRefused: every limit and every kind of bad input that a
// command line can reach, against a real node: the exact text, which names the limit
// and what to do instead, and the exit code.
func TestWhatIsOutOfRangeIsRefused(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 1)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "1", "--zones", "1", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	l.ok("put", "b", "k", "v")
	l.ok("put", "b", "other", "v")
	var other objectDoc
	require.NoError(t, decode(l.ok("get", "b", "other", "-o", "json"), &other))

	t.Run("an object has so many siblings", func(t *testing.T) {
		line := `{"op":"put","bucket":"b","key":"many","value":"v","blind":true}` + "\n"
		o := l.runWith(strings.Repeat(line, kindred.SiblingsMax), "batch", "-", "--quiet")
		require.Zero(t, o.exit, "%s", o)
		o = l.run("put", "b", "many", "v", "--blind")
		require.Equal(t, exitUnsafe, o.exit)
		require.Equal(t, "kvcli: kindred: put b/many: too_many_siblings: the key has 1024 siblings, the limit for a blind put is 1024: read it and put again with its context; asked n1 (too_many_siblings)\n", o.stderr)
		require.Contains(t, l.ok("resolve", "b", "many", "--value", "one"), "it supersedes 1024 siblings")
	})
	t.Run("an object has so many bytes", func(t *testing.T) {
		value := strings.Repeat("x", kindred.ValueBytesMax)
		for range kindred.ObjectBytesMax / kindred.ValueBytesMax {
			o := l.runWith(value, "put", "b", "fat", "-", "--blind")
			require.Zero(t, o.exit, "%s", o)
		}
		o := l.runWith(value, "put", "b", "fat", "-", "--blind")
		require.Equal(t, 1, o.exit)
		require.Equal(t, "kvcli: kindred: put b/fat: too_large: object has 41943040 bytes, the limit is 33554432: read the key and put again with its context, so that old siblings go; asked n1 (too_large)\n", o.stderr)
		o = l.runWith(value+"x", "put", "b", "fat", "-")
		require.Equal(t, outcome{stderr: "kvcli: too_large: value has 8388609 bytes, the limit is 8388608: split the value over several keys\n", exit: 1}, o)
		l.ok("del", "b", "fat")
	})
	long := strings.Repeat("k", kindred.KeyBytesMax+1)
	for _, c := range []struct {
		args []string
		exit int
		text string
	}{
		{[]string{"put", "b", long, "v"}, 1, "too_large: key has 4097 bytes, the limit is 4096: use a shorter key, for instance a hash of the long one"},
		{[]string{"put", "b", "", "v"}, 1, "invalid: the key is empty; a key has 1 to 4096 bytes"},
		{[]string{"put", long[:256], "k", "v"}, 1, "too_large: bucket has 256 bytes, the limit is 255: use a shorter bucket name"},
		{[]string{"put", "\xff", "k", "v"}, 1, "invalid: the bucket name is not valid UTF-8; keys may hold any bytes, bucket names may not"},
		{[]string{"put", "b", "k", "v", "--content-type", long[:256]}, 1, "too_large: content_type has 256 bytes, the limit is 255: use a shorter content type"},
		{[]string{"put", "b", "k", "v", "--content-type", "a\nb"}, 1, `invalid: the content type holds the control character '\n'`},
		{[]string{"put", "b", "k", "v", "--context", "Zm9yZWlnbg"}, 1, "kindred: put b/k: bad_context: the context is malformed: pass it exactly as a read of this key returned it; asked n1 (bad_context)"},
		{[]string{"put", "b", "k", "v", "--context", other.Context}, 1, `kindred: put b/k: bad_context: the context belongs to another bucket or key: read b/"k" and pass the context of that read; asked n1 (bad_context)`},
		{[]string{"resolve", "b", "k", "--keep", "n1:1"}, 2, "no value of b/k has the dot n1:1 (any more): it has X:1"},
		{[]string{"get", "b", "k", "--r", "0"}, 1, `invalid: --r: "0" is not a replica count: use a number from 1 to 16, one, quorum or all`},
		{[]string{"put", "b", "k", "v", "--w", "17"}, 1, `invalid: --w: "17" is not a replica count: use a number from 1 to 16, one, quorum or all`},
		{[]string{"put", "b", "k", "v", "--w", "3"}, 1, "kindred: put b/k: invalid: w=3, but the replicas of a key are 1 here: ask for at most 1; asked n1 (invalid)"},
		{[]string{"scan", "b", "--cursor", "AAAA"}, 1, "kindred: scan b: invalid: the cursor is malformed: pass it exactly as the last page returned it; asked n1 (invalid)"},
		{[]string{"local", "kill", "7"}, 1, ""},
		{[]string{"local", "wipe", "1"}, 5, ""},
		{[]string{"get", "b", "none"}, 2, "b/none has no value"},
	} {
		o := l.run(append(c.args, "--timeout", "2s")...)
		require.Equal(t, c.exit, o.exit, "%s: %s", c.args, o)
		require.Empty(t, o.stdout, c.args)
		if c.text != "" {
			require.Equal(t, "kvcli: "+c.text+"\n", regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllString(o.stderr, "X"))
		}
	}
	require.Equal(t, "v", l.ok("get", "b", "k"), "nothing was applied")
}
