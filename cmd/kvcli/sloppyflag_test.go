package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// A bucket decides whether guests count, unless the command says so.
func TestTheSloppyFlagWinsOverTheBucketOnlyIfGiven(t *testing.T) {
	for _, c := range []struct {
		args []string
		want kindred.Sloppiness
	}{
		{nil, kindred.Request{}.Sloppy},
		{[]string{"--sloppy"}, kindred.Sloppy},
		{[]string{"--sloppy=true"}, kindred.Sloppy},
		{[]string{"--sloppy=false"}, kindred.Strict},
	} {
		var f quorumFlag
		command := &cobra.Command{}
		f.register(command)
		require.NoError(t, command.ParseFlags(c.args))
		var q kindred.Request
		for _, option := range f.options() {
			option(&q)
		}
		require.Equal(t, c.want, q.Sloppy, "%v", c.args)
	}
}
