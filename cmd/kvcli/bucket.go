package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

func (a *app) bucketCommand() *cobra.Command {
	return parent("bucket", "Give buckets options of their own, and show them",
		"  kvcli bucket create sessions --siblings lww --ttl 24h\n  kvcli bucket show sessions\n  kvcli bucket list",
		a.bucketCreate(), a.bucketShow(), a.bucketList())
}

// bucketFlags are the options of a bucket.
type bucketFlags struct {
	n, valueBytesMax           int
	r, w, siblings, durability string
	sloppy, change             bool
	ttl                        time.Duration
}

func (f *bucketFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.IntVar(&f.n, "n", 0, "replicas of each key: those of the cluster, which is the default")
	flags.StringVar(&f.r, "r", "", "replicas that a read waits for: a number, one, quorum or all (default quorum)")
	flags.StringVar(&f.w, "w", "", "replicas that a write waits for: a number, one, quorum or all (default quorum)")
	flags.BoolVar(&f.sloppy, "sloppy", true, "whether nodes that stand in for unreachable replicas count")
	flags.StringVar(&f.siblings, "siblings", "", "what becomes of concurrent values: keep shows all, lww keeps the last (default keep)")
	flags.StringVar(&f.durability, "durability", "", "what holding a write means: memory, batch or sync (default batch)")
	flags.IntVar(&f.valueBytesMax, "max-value-bytes", 0, fmt.Sprintf("largest value in bytes (default %d, the largest there is)", kindred.ValueBytesMax))
	flags.DurationVar(&f.ttl, "ttl", 0, "time to live of values put without one, such as 90s or 24h (default: they stay)")
	flags.BoolVar(&f.change, "change", false, "replace the options of a bucket that exists: those left out become the defaults")
}

func (f *bucketFlags) options() (o kindred.BucketOptions, err error) {
	o = kindred.BucketOptions{N: f.n, Sloppy: kindred.SloppyOr(f.sloppy), ValueBytesMax: f.valueBytesMax, TTL: f.ttl}
	for _, flag := range [...]struct {
		name string
		read func() error
	}{
		{"r", func() (err error) { o.R, err = kindred.ParseCount(f.r); return }},
		{"w", func() (err error) { o.W, err = kindred.ParseCount(f.w); return }},
		{"siblings", func() (err error) { o.Siblings, err = kindred.ParseSiblings(f.siblings); return }},
		{"durability", func() (err error) { o.Durability, err = kindred.ParseDurability(f.durability); return }},
	} {
		if err := flag.read(); err != nil {
			return o, kindred.Invalid(flag.name, "--%s: %v", flag.name, err)
		}
	}
	return o, nil
}

func (a *app) bucketCreate() *cobra.Command {
	var f bucketFlags
	c := &cobra.Command{
		Use: "create BUCKET", Short: "Create a bucket with options of its own", Args: cobra.ExactArgs(1),
		Long: `Create gives a bucket options that hold for every request which does not say
otherwise. A bucket without options of its own has the defaults and needs no
creation.

The bucket is durable on one node when create returns, and known to every node
that could be reached; the others learn of it when they can be. Creating it again
with the same options changes nothing, with others it is refused unless --change is
given.`,
		Example: `  kvcli bucket create carts --w all --durability sync
  kvcli bucket create sessions --siblings lww --ttl 24h --max-value-bytes 4096
  kvcli bucket create sessions --siblings lww --ttl 48h --change`,
		RunE: func(c *cobra.Command, args []string) error {
			options, err := f.options()
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				set := cl.CreateBucket
				if f.change {
					set = cl.ChangeBucket
				}
				changed, err := set(ctx, args[0], options)
				if err != nil {
					return howToChange(err, args[0], f.change)
				}
				return a.print(api.NewBucketChangedDoc(&changed), func(w io.Writer) error { return writeChanged(w, &changed) })
			})
		},
	}
	f.register(c)
	return c
}

// howToChange names the flag that changes a bucket which exists. The cluster, which
// refused, does not know of flags.
func howToChange(err error, name string, change bool) error {
	var e *kindred.Error
	if !change && kindred.CheckBucket(name) == nil && errors.As(err, &e) && e.Code == kindred.CodeInvalid && e.Field == "bucket" {
		return fmt.Errorf("%w (--change replaces its options: those left out become the defaults)", err)
	}
	return err
}

func writeChanged(w io.Writer, c *kindred.BucketChanged) error {
	text := fmt.Sprintf("bucket %s is known to %s", shown(c.Bucket.Name), strings.Join(c.KnownBy, ", "))
	if len(c.Unheard) > 0 {
		text += fmt.Sprintf(", and not yet to %s", strings.Join(c.Unheard, ", "))
	}
	if _, err := fmt.Fprintln(w, text); err != nil {
		return err
	}
	return bucketTable([]kindred.Bucket{c.Bucket}).write(w)
}

func bucketTable(all []kindred.Bucket) *table {
	t := &table{header: []string{"BUCKET", "N", "R", "W", "SLOPPY", "SIBLINGS", "DURABILITY", "MAX VALUE", "TTL", "CHANGED"}}
	for _, b := range all {
		o, ttl, changed := &b.Options, "none", "never: these are the defaults"
		if o.TTL > 0 {
			ttl = o.TTL.String()
		}
		if b.Created {
			changed = fmt.Sprintf("%s by %s", when(b.At), b.By)
		}
		t.add(plainCells(shown(b.Name), fmt.Sprint(o.N), o.R.String(), o.W.String(), fmt.Sprint(o.Sloppy.IsSloppy()), o.Siblings.String(),
			o.Durability.String(), fmt.Sprint(o.ValueBytesMax), ttl, changed)...)
	}
	return t
}

func (a *app) bucketShow() *cobra.Command {
	return &cobra.Command{
		Use: "show BUCKET", Short: "Show the options of a bucket", Args: cobra.ExactArgs(1),
		Long: `Show prints the options that a bucket has, as the node that is asked knows them.
A bucket that nobody has created has the defaults.`,
		Example: "  kvcli bucket show carts\n  kvcli bucket show carts -o json | jq .options.w",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				b, err := cl.BucketOptions(ctx, args[0])
				if err != nil {
					return err
				}
				return a.print(api.NewBucketDoc(&b), bucketTable([]kindred.Bucket{b}).write)
			})
		},
	}
}

func (a *app) bucketList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the buckets that have options of their own", Args: cobra.NoArgs,
		Long: `List prints the buckets that were created, by name. Buckets with the defaults
exist by being written to and are not listed.`,
		Example: "  kvcli bucket list\n  kvcli bucket list -o json | jq '.buckets[].bucket'",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				all, err := cl.Buckets(ctx)
				if err != nil {
					return err
				}
				return a.print(api.NewBucketsDoc(all), func(w io.Writer) error {
					if len(all) == 0 {
						_, err := fmt.Fprintln(w, "no bucket was created: all have the defaults")
						return err
					}
					return bucketTable(all).write(w)
				})
			})
		},
	}
}
