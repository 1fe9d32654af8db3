package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

func (a *app) getCommand() *cobra.Command {
	var key keyFlags
	var read readFlags
	c := &cobra.Command{
		Use: "get BUCKET KEY", Short: "Read a key", Args: cobra.ExactArgs(2),
		Long: `Get prints the value of a key: its bytes, with a line end on a terminal only.

A key that was written concurrently has several values. They are all shown, with
the node that took each, the time, and whether its writer had seen an earlier
value; the exit code is then 3. A key without a value exits with 2.`,
		Example: `  kvcli get carts alice
  kvcli get carts alice -o json
  kvcli get carts alice --r all`,
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			opts, err := read.options()
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				obj, err := cl.Bucket(bucket).Get(c.Context(), k, opts...)
				if err != nil {
					return err
				}
				return a.printObject(bucket, k, obj)
			})
		},
	}
	key.register(c)
	read.register(c)
	return c
}

// objectDoc is the document of kvcli get.
type objectDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	// Context is empty for a key that never was.
	Context  string       `json:"context"`
	Siblings []siblingDoc `json:"siblings"`
	Replied  []string     `json:"replied"`
	// Quorum is "sloppy" if guests were counted, which Guests names.
	Quorum string   `json:"quorum"`
	Guests []string `json:"guests"`
}

// siblingDoc has the value in base64, and as text too if it is text.
type siblingDoc struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 string  `json:"value_base64"`
	Dot         string  `json:"dot"`
	ContentType string  `json:"content_type"`
	WrittenAt   string  `json:"written_at"`
	Node        string  `json:"node"`
	Blind       bool    `json:"blind"`
	// Causes are the circumstances of the write, see kindred.Causes.
	Causes []string `json:"causes"`
	// ExpiresAt is empty for a value that stays.
	ExpiresAt string `json:"expires_at"`
}

func newObjectDoc(bucket, key string, obj *client.Object) objectDoc {
	doc := objectDoc{
		Bucket: bucket, keyDoc: newKeyDoc(key), Context: obj.Context.String(),
		Siblings: []siblingDoc{}, Replied: list(obj.Replied),
		Quorum: kindred.SloppyOr(obj.Sloppy()).String(), Guests: list(obj.Guests),
	}
	for _, s := range obj.Siblings {
		d := siblingDoc{
			ValueBase64: base64.StdEncoding.EncodeToString(s.Value),
			Dot:         s.Dot, ContentType: s.ContentType, WrittenAt: moment(s.WrittenAt), Node: s.Node,
			Blind: s.Causes.Has(kindred.CauseBlind), Causes: list(s.Causes.Names()), ExpiresAt: moment(s.ExpiresAt),
		}
		if utf8.Valid(s.Value) {
			text := string(s.Value)
			d.Value = &text
		}
		doc.Siblings = append(doc.Siblings, d)
	}
	return doc
}

// printObject prints what was found and returns a *result unless that is one
// value.
func (a *app) printObject(bucket, key string, obj *client.Object) error {
	err := a.print(newObjectDoc(bucket, key, obj), func(w io.Writer) error {
		switch len(obj.Siblings) {
		case 0:
			return nil
		case 1:
			return writeValue(w, obj.Siblings[0].Value)
		}
		return a.writeSiblings(w, bucket, key, obj)
	})
	if err != nil {
		return err
	}
	_, err = obj.Value()
	var several *client.SiblingsError
	switch {
	case errors.Is(err, client.ErrNotFound):
		return &result{exit: exitNotFound, code: "not_found", message: fmt.Sprintf("%s/%s has no value", bucket, shown(key))}
	case errors.As(err, &several):
		return &result{exit: exitSiblings, code: "siblings", message: fmt.Sprintf(
			"%s/%s has %d values that were written concurrently: write the one that should remain, with their --context",
			bucket, shown(key), len(several.Siblings))}
	}
	return err
}

func writeValue(w io.Writer, value []byte) error {
	if term.IsTerminal(w) {
		value = append(value[:len(value):len(value)], '\n')
	}
	_, err := w.Write(value)
	return err
}

// writeSiblings shows every value with its provenance.
func (a *app) writeSiblings(w io.Writer, bucket, key string, obj *client.Object) error {
	st := a.style()
	fmt.Fprintf(w, "%s has %d siblings, written concurrently: none of their writers had seen another's value.\n",
		st.Bold(bucket+"/"+shown(key)), len(obj.Siblings))
	for i, s := range obj.Siblings {
		seen := "having seen an earlier value (with a context)"
		if s.Causes.Has(kindred.CauseBlind) {
			seen = "having seen nothing (blind)"
		}
		fmt.Fprintf(w, "\n%d  %s\n   %s\n", i+1, st.Bold(excerpt(s.Value)),
			st.Dim(fmt.Sprintf("written through %s, %s, %s%s; dot %s", s.Node, when(s.WrittenAt), seen, expiresText(s.ExpiresAt), s.Dot)))
	}
	_, err := fmt.Fprintf(w, "\nTo leave one value, write it in place of all of these:\n  kvcli put %s %s VALUE --context %s\n",
		shown(bucket), shown(key), obj.Context)
	return err
}
