package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A read of an absent key gives an empty context. Who writes with that has seen
// nothing, and takes nothing away that was written meanwhile.
func TestAnEmptyContextHasSeenNothing(t *testing.T) {
	f := newFakeCluster()
	do := func(in string, args ...string) outcome {
		o := runWith(t, f, in, args...)
		require.Zero(t, o.exit, "%v: %s", args, o.stderr)
		return o
	}
	do("", "put", "c", "k", "one", "--blind")
	do("", "put", "c", "k", "two", "--context", "")
	require.Len(t, f.objects["c/k"], 2)
	do(`{"op":"put","bucket":"c","key":"k","value":"three","context":""}`+"\n", "batch", "-")
	require.Len(t, f.objects["c/k"], 3)

	require.Equal(t, "c/k had no value when it was read: nothing to delete\n", do("", "del", "c", "k", "--context", "").stdout)
	do(`{"op":"del","bucket":"c","key":"k","context":""}`+"\n", "batch", "-")
	require.Len(t, f.objects["c/k"], 3)

	for _, args := range [][]string{
		{"put", "c", "k", "v", "--blind", "--context", ""},
		{"update", "c", "k", "--merge", "cat", "--context", ""},
		{"resolve", "c", "k", "--value", "v", "--context", ""},
	} {
		o := runWith(t, f, "", args...)
		require.Equal(t, 1, o.exit, "%v", args)
		require.Contains(t, o.stderr, "--context", "%v", args)
	}
	require.Len(t, f.objects["c/k"], 3)
	do("", "put", "c", "k", "last") // reads first
	require.Len(t, f.objects["c/k"], 1)
}
