package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		o := runWith(t, newFakeCluster(), "", "completion", shell)
		require.Zero(t, o.exit, "%s", o)
		require.Contains(t, o.stdout, "kvcli")
	}
	var doc completionDoc
	o := runWith(t, newFakeCluster(), "", "completion", "bash", "-o", "json")
	require.NoError(t, decode(o.stdout, &doc))
	require.Equal(t, runWith(t, newFakeCluster(), "", "completion", "bash").stdout, doc.Script)
	o = runWith(t, newFakeCluster(), "", "completion", "tcsh")
	require.Equal(t, "kvcli: \"tcsh\" is no shell that is known here: use bash, zsh, fish, powershell\n'kvcli completion --help' shows how to use it\n", o.stderr)
	require.Equal(t, 1, o.exit)
}
