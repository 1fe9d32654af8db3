package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

func (a *app) putCommand() *cobra.Command {
	var key keyFlags
	var write writeFlags
	var meta metaFlags
	var file string
	var blind bool
	c := &cobra.Command{
		Use: "put BUCKET KEY [VALUE|-]", Short: "Write a key", Args: cobra.RangeArgs(2, 3),
		Long: `Put stores a value: the argument, or standard input (-, or no argument), or a
file.

It replaces what it has seen. With --context that is what an earlier read saw;
without, put reads the key first; with --blind it has seen nothing, and adds a
sibling to whatever there is.

With --wait it returns when the write is propagated (on the disk of every home
replica), settled (every home knows that) or audited, and with 6 if that does not
come in time: the write is done all the same, as the receipt says.`,
		Example: `  kvcli put carts alice '["milk"]'
  kvcli put photos cat.jpg --file cat.jpg --content-type image/jpeg
  echo hello | kvcli put notes today -
  kvcli put carts alice '["milk","bread"]' --context TOKEN
  kvcli put sessions s1 alice --ttl 30m
  kvcli put orders 17 paid --wait settled --timeout 30s`,
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			if blind && write.token(c) != nil {
				return usageError{c, errors.New("--blind and --context exclude each other: a blind put has seen nothing")}
			}
			value, err := a.value(c, args, file)
			if err != nil {
				return err
			}
			if bad := kindred.CheckValue(value, meta.contentType); bad != nil {
				return bad
			}
			opts, err := write.options()
			if err != nil {
				return err
			}
			about, err := meta.options(c)
			if err != nil {
				return err
			}
			opts = append(opts, about...)
			stage, err := write.stage(c)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.put(c.Context(), cl.Bucket(bucket), bucket, k, value, blind, write.token(c), stage, opts)
			})
		},
	}
	key.register(c)
	write.register(c)
	c.Flags().BoolVar(&blind, "blind", false, "do not read first; the value becomes a sibling of what is there")
	c.Flags().StringVar(&file, "file", "", "read the value from a file")
	meta.register(c)
	return c
}

// receiptDoc is the document of kvcli put and kvcli del.
type receiptDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	// Applied is false if there was nothing to delete; the rest is then empty.
	Applied    bool     `json:"applied"`
	Dot        string   `json:"dot"`
	Stage      string   `json:"stage"`
	Durability string   `json:"durability"`
	Acked      []string `json:"acked"`
	// Quorum is "sloppy" if guests were counted, which Guests names.
	Quorum  string   `json:"quorum"`
	Guests  []string `json:"guests"`
	Context string   `json:"context"`
	// ExpiresAt is empty for a value that stays.
	ExpiresAt string `json:"expires_at"`
	// Superseded is how many values the read before the write saw; -1 if there
	// was none.
	Superseded int `json:"superseded"`
}

// notRead is Superseded of a write that did not read first.
const notRead = -1

// seen finds what a write supersedes: what the token says, or what is there. An empty
// token has seen no value.
func seen(ctx context.Context, b bucket, key string, token *string) (client.Context, int, error) {
	switch {
	case token != nil && *token == "":
		return client.Context{}, 0, nil
	case token != nil:
		c, err := client.ParseContext(*token)
		return c, notRead, err
	}
	obj, err := b.Get(ctx, key)
	if err != nil {
		return client.Context{}, 0, fmt.Errorf("reading the key before writing it (nothing was written): %w", err)
	}
	return obj.Context, len(obj.Siblings), nil
}

func (a *app) put(ctx context.Context, b bucket, name, key string, value []byte, blind bool, token *string, stage kindred.Stage, opts []client.CallOption) error {
	superseded := notRead
	if !blind {
		c, n, err := seen(ctx, b, key, token)
		if err != nil {
			return err
		}
		superseded = n
		opts = append(opts, client.Seen(c))
	}
	r, err := b.Put(ctx, key, value, opts...)
	if err != nil {
		return err
	}
	late := awaitStage(ctx, b, key, r, stage)
	return errors.Join(a.printReceipt("stored", name, key, r, superseded), late)
}

// awaitStage waits for a write that is done, and notes how far it has come. The
// write stays done if that is not far enough.
func awaitStage(ctx context.Context, b bucket, key string, r *client.Receipt, stage kindred.Stage) error {
	if r.Stage >= stage {
		return nil
	}
	reached, err := b.Wait(ctx, key, r.Dot, stage)
	r.Stage = max(r.Stage, reached)
	return err
}

func (a *app) printReceipt(verb, bucket, key string, r *client.Receipt, superseded int) error {
	doc := receiptDoc{
		Bucket: bucket, keyDoc: newKeyDoc(key), Applied: true,
		Dot: r.Dot, Stage: r.Stage.String(), Durability: r.Durability.String(), Acked: list(r.Acked),
		Quorum: kindred.SloppyOr(r.Sloppy()).String(), Guests: list(r.Guests),
		Context: r.Context.String(), ExpiresAt: moment(r.ExpiresAt), Superseded: superseded,
	}
	return a.print(doc, func(w io.Writer) error {
		more := ""
		if superseded > 1 {
			more = fmt.Sprintf("; it supersedes %d siblings", superseded)
		}
		if r.Sloppy() {
			more += fmt.Sprintf("; sloppy: kept by %s for home replicas that cannot be reached", strings.Join(r.Guests, ", "))
		}
		_, err := fmt.Fprintf(w, "%s %s/%s: %s on %s (durability %s)%s\n", verb, bucket, shown(key),
			doc.Stage, strings.Join(r.Acked, ", "), doc.Durability, expiresText(r.ExpiresAt)+more)
		return err
	})
}

func (a *app) delCommand() *cobra.Command {
	var key keyFlags
	var write writeFlags
	c := &cobra.Command{
		Use: "del BUCKET KEY", Short: "Delete a key", Args: cobra.ExactArgs(2),
		Long: `Del removes the values that it has seen: those of the read that gave --context,
or those that it reads first. A value that is written concurrently stays.
Deleting what is not there is no error.`,
		Example: "  kvcli del carts alice\n  kvcli del carts alice --context TOKEN",
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			opts, err := write.options()
			if err != nil {
				return err
			}
			stage, err := write.stage(c)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.del(c.Context(), cl.Bucket(bucket), bucket, k, write.token(c), stage, opts)
			})
		},
	}
	key.register(c)
	write.register(c)
	return c
}

func (a *app) del(ctx context.Context, b bucket, name, key string, token *string, stage kindred.Stage, opts []client.CallOption) error {
	c, n, err := seen(ctx, b, key, token)
	if err != nil {
		return err
	}
	if n == 0 {
		doc := receiptDoc{Bucket: name, keyDoc: newKeyDoc(key), Acked: []string{}, Guests: []string{}, Context: c.String()}
		return a.print(doc, func(w io.Writer) error {
			why := "has no value"
			if token != nil {
				why = "had no value when it was read"
			}
			_, err := fmt.Fprintf(w, "%s/%s %s: nothing to delete\n", name, shown(key), why)
			return err
		})
	}
	r, err := b.Delete(ctx, key, append(opts, client.Seen(c))...)
	if err != nil {
		return err
	}
	late := awaitStage(ctx, b, key, r, stage)
	return errors.Join(a.printReceipt("deleted", name, key, r, n), late)
}
