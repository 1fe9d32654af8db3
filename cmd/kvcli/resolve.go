package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// resolution is how kvcli resolve finds the value that remains.
type resolution struct {
	keep, value, merge string
	// ask is when none of them was given.
	ask bool
}

func (a *app) resolveCommand() *cobra.Command {
	var key keyFlags
	var write writeFlags
	var meta metaFlags
	var r resolution
	c := &cobra.Command{
		Use: "resolve BUCKET KEY", Short: "Make one value of the siblings of a key", Args: cobra.ExactArgs(2),
		Long: `Resolve reads a key with several values and writes one in their place: the one
with the dot DOT, the value V, or what a command of yours makes of all of them. On
a terminal it shows them side by side and asks, if none of these is given.

` + mergeHelp + `

It replaces exactly the values that it has read: one that is written meanwhile
becomes a sibling, and is resolved next time. The value that remains keeps the
content type that all agree on, and expires with the last of them. A key with one
value is left alone; a key without one exits with 2.`,
		Example: `  kvcli resolve carts alice
  kvcli resolve carts alice --keep 72ce02bc5d95919e2f729b219d8851d1:2
  kvcli resolve carts alice --value '["milk","bread"]'
  kvcli resolve carts alice --merge "jq -cj '[.siblings[].value | fromjson] | add | unique'"`,
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			if token := write.token(c); token != nil && *token == "" {
				return usageError{c, errors.New("--context is empty: the read that gave it saw no value, so it has nothing to resolve")}
			}
			if err := a.checkResolution(c, &r, write.context); err != nil {
				return err
			}
			w, err := newWriting(c, &write, &meta)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.resolve(c.Context(), cl.Bucket(bucket), bucket, k, r, w)
			})
		},
	}
	key.register(c)
	write.register(c)
	meta.register(c)
	c.Flags().StringVar(&r.keep, "keep", "", "keep the value with this dot, as kvcli get shows it")
	c.Flags().StringVar(&r.value, "value", "", "write this value in place of all")
	c.Flags().StringVar(&r.merge, "merge", "", "a command that gets all values and prints one")
	return c
}

// mergeHelp is said of every --merge.
const mergeHelp = `--merge CMD is run by sh. On standard input it gets the document of 'kvcli get
-o json'; what it prints is the value, byte for byte. If it exits with anything but
0, or prints nothing, nothing is written.`

// checkResolution wants one way, and a terminal if there is none.
func (a *app) checkResolution(c *cobra.Command, r *resolution, token string) error {
	ways := 0
	for _, name := range []string{"keep", "value", "merge"} {
		if f := c.Flags().Lookup(name); f.Changed {
			ways++
			if name != "value" && f.Value.String() == "" {
				return usageError{c, fmt.Errorf("--%s is empty", name)}
			}
		}
	}
	r.ask = ways == 0
	switch {
	case ways > 1:
		return usageError{c, errors.New("--keep, --value and --merge exclude each other: give one of them")}
	case r.ask && !(term.IsTerminal(a.in) && term.IsTerminal(a.errOut)):
		return usageError{c, errors.New("which value should remain? Give --keep DOT, --value V or --merge CMD: there is no terminal to ask on")}
	case token != "" && (r.ask || r.merge != ""):
		return usageError{c, errors.New("--context goes with --keep or --value: a merge replaces what it has read, and nothing else")}
	}
	return nil
}

// writing is what the flags of a write come to.
type writing struct {
	opts  []client.CallOption
	token string
	stage kindred.Stage
	flags client.CallOption
}

func newWriting(c *cobra.Command, write *writeFlags, meta *metaFlags) (w writing, err error) {
	if w.opts, err = write.options(); err != nil {
		return w, err
	}
	about, err := meta.options(c)
	if err != nil {
		return w, err
	}
	w.opts, w.flags, w.token = append(w.opts, about...), overrides(c), write.context
	w.stage, err = write.stage(c)
	return w, err
}

func (a *app) resolve(ctx context.Context, b bucket, name, key string, r resolution, w writing) error {
	obj, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("reading the key before writing it (nothing was written): %w", err)
	}
	kept := slices.IndexFunc(obj.Siblings, func(s kindred.Sibling) bool { return s.Dot == r.keep })
	switch {
	case len(obj.Siblings) == 0:
		return noValue(name, key)
	case r.keep != "" && kept < 0:
		return &result{exit: exitNotFound, code: "not_found", message: fmt.Sprintf("no value of %s/%s has the dot %s (any more): it has %s",
			name, shown(key), shown(r.keep), strings.Join(dotsOf(obj.Siblings), ", "))}
	case len(obj.Siblings) == 1:
		return a.nothingToResolve(name, key, obj)
	}
	from := obj.Siblings
	if r.ask {
		if kept, r.value, err = a.choose(ctx, name, key, obj); err != nil {
			return err
		}
	}
	value := []byte(r.value)
	switch {
	case kept >= 0:
		from = obj.Siblings[kept : kept+1]
		value = from[0].Value
	case r.merge != "":
		if value, err = a.merge(ctx, r.merge, name, key, obj); err != nil {
			return err
		}
	}
	return a.replace(ctx, b, "resolved", name, key, value, obj, from, w)
}

// replace writes a value in place of what was read; it takes after some of that.
func (a *app) replace(ctx context.Context, b bucket, verb, name, key string, value []byte, obj *client.Object, like []kindred.Sibling, w writing) error {
	if bad := kindred.CheckValue(value, ""); bad != nil {
		return bad
	}
	seen, superseded := obj.Context, len(obj.Siblings)
	if w.token != "" {
		given, err := client.ParseContext(w.token)
		if err != nil {
			return err
		}
		seen, superseded = given, notRead
	}
	opts := append(inherited(like), w.opts...)
	r, err := b.Put(ctx, key, value, append(opts, w.flags, client.Seen(seen))...)
	if err != nil {
		return err
	}
	late := awaitStage(ctx, b, key, r, w.stage)
	return errors.Join(a.printReceipt(verb, name, key, r, superseded), late)
}

func (a *app) nothingToResolve(bucket, key string, obj *client.Object) error {
	doc := receiptDoc{Bucket: bucket, keyDoc: newKeyDoc(key), Acked: []string{}, Guests: []string{}, Context: obj.Context.String(), Superseded: notRead}
	return a.print(doc, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s/%s has one value: nothing to resolve\n", bucket, shown(key))
		return err
	})
}

func noValue(bucket, key string) error {
	return &result{exit: exitNotFound, code: "not_found", message: fmt.Sprintf("%s/%s has no value", bucket, shown(key))}
}

func dotsOf(siblings []kindred.Sibling) []string {
	out := make([]string, len(siblings))
	for i, s := range siblings {
		out[i] = s.Dot
	}
	return out
}

func (a *app) updateCommand() *cobra.Command {
	var key keyFlags
	var write writeFlags
	var meta metaFlags
	var command string
	c := &cobra.Command{
		Use: "update BUCKET KEY --merge CMD", Short: "Change a key by a command that gets its values", Args: cobra.ExactArgs(2),
		Long: `Update reads a key, lets a command make the new value of what is there (no value,
one, or several siblings), and writes it in their place.

` + mergeHelp + `

It replaces exactly what it has read: a value that is written meanwhile becomes a
sibling, so nobody's change is lost, and the next update merges the two. After exit
code 4 the value may be there: a command that is to be run again should not mind
seeing its own value.`,
		Example: `  kvcli update carts alice --merge "jq -cj '[.siblings[].value | fromjson | .[]] + [\"milk\"] | unique'"
  kvcli update notes today --merge "jq -j '.siblings[].value'; echo one more line"`,
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			switch {
			case command == "":
				return usageError{c, errors.New("--merge is missing: name the command that makes the new value")}
			case write.token(c) != nil:
				return usageError{c, errors.New("--context is for kvcli put: an update replaces what it has read, and nothing else")}
			}
			w, err := newWriting(c, &write, &meta)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.update(c.Context(), cl.Bucket(bucket), bucket, k, command, w)
			})
		},
	}
	key.register(c)
	write.register(c)
	meta.register(c)
	c.Flags().StringVar(&command, "merge", "", "a command that gets all values and prints one (required)")
	return c
}

func (a *app) update(ctx context.Context, b bucket, name, key, command string, w writing) error {
	obj, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("reading the key before writing it (nothing was written): %w", err)
	}
	value, err := a.merge(ctx, command, name, key, obj)
	if err != nil {
		return err
	}
	return a.replace(ctx, b, "updated", name, key, value, obj, obj.Siblings, w)
}
