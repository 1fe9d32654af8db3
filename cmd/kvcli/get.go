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
the node that each was written through, the time, and what its writer had seen;
the exit code is then 3, and 'kvcli resolve' makes one of them. A key without a
value exits with 2.`,
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
		return noValue(bucket, key)
	case errors.As(err, &several):
		return &result{exit: exitSiblings, code: "siblings", message: fmt.Sprintf(
			"%s/%s has %d values that were written concurrently: kvcli resolve makes one of them",
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
