package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// writeSiblings shows every value with its provenance.
func (a *app) writeSiblings(w io.Writer, bucket, key string, obj *client.Object) error {
	st := a.style()
	fmt.Fprintf(w, "%s has %d siblings, written concurrently: none of their writers had seen another's value.\n",
		st.Bold(bucket+"/"+shown(key)), len(obj.Siblings))
	for i := range obj.Siblings {
		s := &obj.Siblings[i]
		fmt.Fprintf(w, "\n%d  %s\n   %s\n", i+1, st.Bold(excerpt(s.Value)),
			st.Dim(fmt.Sprintf("written through %s, %s, %s%s; dot %s", s.Node, when(s.WrittenAt), strings.Join(circumstances(s.Causes&^detail), ", "), expiresText(s.ExpiresAt), s.Dot)))
	}
	name := shown(bucket) + " " + shown(key)
	_, err := fmt.Fprintf(w, "\nTo leave one value:\n  kvcli resolve %s --keep %s\n  kvcli put %s VALUE --context %s\nWhy there are several:\n  kvcli key why %s\n",
		name, obj.Siblings[0].Dot, name, obj.Context, name)
	return err
}

// detail are causes that kvcli get leaves to kvcli key why.
const detail = kindred.CauseBeside | kindred.CauseForwarded

// circumstances are the causes of a write in words: what its writer had seen
// first, and how it came to the homes.
func circumstances(c kindred.Causes) []string {
	saw := "having seen an earlier value (with a context)"
	switch {
	case c.Has(kindred.CauseBlind):
		saw = "having seen nothing (blind)"
	case c.Has(kindred.CauseMerge):
		saw = "having seen several siblings, which it merged"
	}
	out := []string{saw}
	for _, known := range []struct {
		cause kindred.Causes
		text  string
	}{
		{kindred.CauseBeside, "beside a value that was there already"},
		{kindred.CauseRetry, "sent again"},
		{kindred.CauseForwarded, "sent on by a node that is no home"},
		{kindred.CauseCut, "while a home could not be reached"},
		{kindred.CauseGuest, "by a guest, and brought to the homes as a hint"},
	} {
		if c.Has(known.cause) {
			out = append(out, known.text)
		}
	}
	return out
}
