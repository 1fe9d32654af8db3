package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/contest"
)

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-peers", "redis riak"}, `"riak" is not a peer`},
		{[]string{"-rounds", "0"}, "0 rounds"},
		{[]string{"-each", "0s"}, "measure nothing"},
		{[]string{"-o", "xml"}, "use table or json"},
		{[]string{"more"}, `"more" is not a flag`},
	} {
		_, err := parse(tt.args)
		require.ErrorContains(t, err, tt.want)
	}
	_, err := parse([]string{"-peers", ""})
	require.NoError(t, err, "Kindred beside its floors alone")
}

func TestPeersThatDoNotTakePartAreSaid(t *testing.T) {
	f := field{progress: t.Output()}
	require.NoError(t, f.startPeer(t.Context(), "olric"))
	require.Len(t, f.missing, 1)
	require.Equal(t, "olric", f.missing[0].Name)
	require.NotEmpty(t, f.missing[0].Why)

	f = field{bin: t.TempDir(), progress: t.Output()}
	require.NoError(t, f.startPeer(t.Context(), "etcd"))
	require.Contains(t, f.missing[0].Why, "make bench builds it")
}

func TestARoundAsksWhatDoesHarmLast(t *testing.T) {
	harm := contest.Question{Name: "harm", Callers: 64, Before: func(context.Context) error { return nil }}
	f := field{contestants: []*contest.Contestant{
		{Questions: []contest.Question{harm, {Name: "open", HalfOf: "a@64"}, {Name: "a@1", Callers: 1}, {Name: "a@64", Callers: 64}}},
		{Questions: []contest.Question{{Name: "b@64", Callers: 64}, {Name: "b@1", Callers: 1}}},
	}}
	var order []string
	for _, t := range f.turns() {
		order = append(order, t.Question.Name)
	}
	require.Equal(t, []string{"a@64", "b@64", "a@1", "b@1", "open", "harm"}, order)
}

func TestCPUModel(t *testing.T) {
	require.Equal(t, "Abacus 2: fast", cpuModel("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Abacus 2: fast\n"))
	require.Equal(t, "unknown", cpuModel(""))
	require.Equal(t, "1, 2, 3", firstFields("1 2 3 4/5 6", 3))
	require.Equal(t, "1", firstFields("1", 3))
}
