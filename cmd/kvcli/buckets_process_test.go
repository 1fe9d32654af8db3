package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/api"
)

// TestABucketOutlivesEveryProcess: created through one of three real processes, it
// is known to all of them, and again after all three were killed at once.
func TestABucketOutlivesEveryProcess(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 3)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	at := func(node int, args ...string) outcome {
		return l.run(append(args, "--cluster", fmt.Sprintf("127.0.0.1:%d", base+10*(node-1)))...)
	}

	created := at(1, "bucket", "create", "strict", "--w", "all", "--durability", "sync", "--max-value-bytes", "10", "-o", "json")
	require.Zero(t, created.exit, "%s", created)
	var changed api.BucketChangedDoc
	require.NoError(t, decode(created.stdout, &changed))
	require.Equal(t, []string{"n1", "n2", "n3"}, changed.KnownBy)
	require.Empty(t, changed.Unheard)

	everywhere := func() {
		for node := 1; node <= 3; node++ {
			o := at(node, "bucket", "show", "strict", "-o", "json")
			require.Zero(t, o.exit, "%s", o)
			var shown api.BucketDoc
			require.NoError(t, decode(o.stdout, &shown))
			require.Equal(t, changed.BucketDoc, shown, "n%d", node)
		}
	}
	everywhere()
	l.ok("put", "strict", "k", "milk")
	require.Contains(t, l.ok("put", "strict", "k", "eggs"), "(durability sync)")

	for _, node := range []string{"1", "2", "3"} {
		l.ok("local", "kill", node)
	}
	l.ok("local", "start", "--kvnode", program(t, "kvnode"))
	everywhere()
	require.Equal(t, "eggs", l.ok("get", "strict", "k"))
	o := l.run("put", "strict", "k", "more than ten bytes")
	require.Equal(t, 1, o.exit)
	require.Contains(t, o.stderr, "value has 19 bytes, the limit is 10: the bucket allows no more (max-value-bytes)")

	// With w=all a node that is away makes writes impossible, unless they ask for
	// less. A change made meanwhile reaches it when it is back.
	l.ok("local", "kill", "3")
	require.Equal(t, 6, l.run("put", "strict", "k", "v", "--sloppy=false", "--timeout", "1s").exit)
	l.ok("put", "strict", "k", "v", "--w", "2")
	o = l.run("bucket", "create", "strict", "--w", "2", "--change")
	require.Zero(t, o.exit, "%s", o)
	require.Contains(t, o.stdout, "bucket strict is known to n1, n2, and not yet to n3")
	l.ok("local", "restart", "3")
	l.ok("cluster", "wait", "--for", "trusted", "--timeout", "30s")
	require.Eventually(t, func() bool {
		return strings.Contains(at(3, "bucket", "show", "strict", "-o", "json").stdout, `"version": 2`)
	}, 20*time.Second, 100*time.Millisecond, "n3 hears of it")
}
