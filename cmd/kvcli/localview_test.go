package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestWhoSeesWhom(t *testing.T) {
	views := []viewDoc{
		{Node: "n1", Sees: []seenDoc{{"n2", "alive", true}, {"n3", "alive", false}, {"n4", "dead", false}, {"n5", "suspect", true}}},
		{Node: "n2", Sees: []seenDoc{{"n1", "alive", true}}},
		{Node: "n3", Error: "it is paused"},
	}
	var out bytes.Buffer
	a := &app{out: &out, getenv: func(string) string { return "" }}
	views = append(views, viewDoc{Node: "n4", Error: "it is stopped"}, viewDoc{Node: "n5", Error: "no answer"})
	require.NoError(t, a.writeViews(&out, views))
	require.Equal(t, `SEES  n1   n2   n3       n4       n5
n1    -    yes  no link  dead     suspect, linked
n2    yes  -    unknown  unknown  unknown
n3    ?    ?    -        ?        ?
n4    ?    ?    ?        -        ?
n5    ?    ?    ?        ?        -
n3 does not say: it is paused
n4 does not say: it is stopped
n5 does not say: no answer
`, out.String())
}

// The ring of the fake cluster has eight partitions: a letter for each.
func TestTheRingIsDrawn(t *testing.T) {
	var out bytes.Buffer
	f := newFakeCluster()
	require.NoError(t, drawRing(f.layout).write(&out))
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, rows, 5)
	homes := 0
	for _, row := range rows[1:] {
		arc := strings.Fields(row)[3]
		require.Equal(t, f.layout.Partitions(), utf8.RuneCountInString(arc))
		homes += strings.Count(arc, "█")
	}
	require.Equal(t, 3*f.layout.Partitions(), homes)
}
