package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// sortedKeysMax bounds what --sorted keeps in memory.
const sortedKeysMax = 5_000_000

type scanFlags struct {
	prefix, cursor string
	limit          int
	conflicts      bool
	sorted         bool
}

func (a *app) scanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use: "scan BUCKET", Short: "List the keys of a bucket", Args: cobra.ExactArgs(1),
		Long: `Scan lists keys, in the order of partitions: every key that exists throughout the
scan is listed. With --limit the place to go on from is given as a cursor.

--sorted lists keys in the order of their bytes. It reads all keys first, every time.`,
		Example: `  kvcli scan carts
  kvcli scan carts --prefix user: --limit 100
  kvcli scan carts --conflicts-only`,
		RunE: func(c *cobra.Command, args []string) error {
			if bad := kindred.CheckBucket(args[0]); bad != nil {
				return bad
			}
			cursor, err := f.check(c)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.scan(c.Context(), cl.Bucket(args[0]), f, cursor)
			})
		},
	}
	c.Flags().StringVar(&f.prefix, "prefix", "", "only keys that begin so")
	c.Flags().IntVar(&f.limit, "limit", 0, "at most so many keys (default: all)")
	c.Flags().StringVar(&f.cursor, "cursor", "", "go on where an earlier scan with --limit ended")
	c.Flags().BoolVar(&f.conflicts, "conflicts-only", false, "only keys with siblings")
	c.Flags().BoolVar(&f.sorted, "sorted", false, "in the order of keys instead of partitions")
	return c
}

func (f *scanFlags) check(c *cobra.Command) (cursor []byte, err error) {
	switch {
	case f.limit < 0 || f.limit == 0 && c.Flags().Changed("limit"):
		return nil, usageError{c, fmt.Errorf("--limit %d: use at least 1", f.limit)}
	}
	cursor, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(f.cursor, "="))
	if err != nil {
		return nil, usageError{c, fmt.Errorf("--cursor %q is not a cursor that kvcli scan printed: %w", f.cursor, err)}
	}
	if _, sorted := behindKey(cursor); sorted != f.sorted && len(cursor) > 0 {
		return nil, usageError{c, errors.New("--cursor is a place in one order: give --sorted to both scans or to none")}
	}
	return cursor, nil
}

// sortedCursor begins the cursor of a scan with --sorted, whose rest is the last key.
// Those of nodes begin with a version.
const sortedCursor = 0xff

func cursorBehind(key string) []byte { return append([]byte{sortedCursor}, key...) }

func behindKey(cursor []byte) (key string, sorted bool) {
	if len(cursor) == 0 || cursor[0] != sortedCursor {
		return "", false
	}
	return string(cursor[1:]), true
}

// scanDoc is the document of kvcli scan.
type scanDoc struct {
	Keys []entryDoc `json:"keys"`
	// Cursor is empty when there are no more keys.
	Cursor string `json:"cursor"`
}

type entryDoc struct {
	keyDoc
	Siblings int `json:"siblings"`
	// ExpiresAt is when the last value expires; empty if one stays.
	ExpiresAt string `json:"expires_at"`
}

func (a *app) scan(ctx context.Context, b bucket, f scanFlags, cursor []byte) error {
	var keys []client.Entry
	var err error
	switch {
	case f.sorted:
		keys, cursor, err = sortedKeys(ctx, b, f, cursor)
	case a.output == asTable:
		cursor, err = walk(ctx, b, f, cursor, f.limit, a.printEntry) // as they come
	default:
		cursor, err = walk(ctx, b, f, cursor, f.limit, func(e client.Entry) error { keys = append(keys, e); return nil })
	}
	if err != nil {
		return err
	}
	next := base64.RawURLEncoding.EncodeToString(cursor)
	err = a.print(newScanDoc(keys, next), func(io.Writer) error {
		for _, e := range keys {
			if err := a.printEntry(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && next != "" {
		a.note("There are more keys: --cursor %s", next)
	}
	return err
}

// sortedKeys reads all keys to list those behind the cursor in order.
func sortedKeys(ctx context.Context, b bucket, f scanFlags, cursor []byte) (keys []client.Entry, next []byte, err error) {
	behind, goesOn := behindKey(cursor)
	_, err = walk(ctx, b, f, nil, 0, func(e client.Entry) error {
		if !goesOn || e.Key > behind {
			keys = append(keys, e)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(keys, func(a, b client.Entry) int { return strings.Compare(a.Key, b.Key) })
	if f.limit > 0 && len(keys) > f.limit {
		keys = keys[:f.limit]
		next = cursorBehind(keys[f.limit-1].Key)
	}
	return keys, next, nil
}

// walk reads pages until the limit, or the end if it is 0.
func walk(ctx context.Context, b bucket, f scanFlags, cursor []byte, limit int, keep func(client.Entry) error) ([]byte, error) {
	for n := 0; ; {
		page := kindred.ScanPageMax
		if limit > 0 {
			page = min(page, limit-n)
		}
		opts := []client.ScanOption{client.Prefix(f.prefix), client.Limit(page), client.Cursor(cursor)}
		if f.conflicts {
			opts = append(opts, client.ConflictsOnly())
		}
		p, err := b.Page(ctx, opts...)
		if err != nil {
			return nil, err
		}
		for _, e := range p.Entries {
			if err := keep(e); err != nil {
				return nil, err
			}
		}
		n, cursor = n+len(p.Entries), p.Cursor
		if len(cursor) == 0 || limit > 0 && n >= limit {
			return cursor, nil
		}
		if f.sorted && n > sortedKeysMax {
			return nil, fmt.Errorf("--sorted keeps all keys in memory, at most %d: list them without it and sort them elsewhere, or use --prefix", sortedKeysMax)
		}
	}
}

func newScanDoc(keys []client.Entry, cursor string) scanDoc {
	doc := scanDoc{Keys: []entryDoc{}, Cursor: cursor}
	for _, e := range keys {
		doc.Keys = append(doc.Keys, entryDoc{newKeyDoc(e.Key), e.Siblings, moment(e.ExpiresAt)})
	}
	return doc
}

// printEntry writes one line per key, so that common tools can go on with it.
func (a *app) printEntry(e client.Entry) error {
	line := shown(e.Key)
	if e.Siblings > 1 {
		line += "\t" + a.style().Warn(fmt.Sprintf("%d siblings", e.Siblings))
	}
	if !e.ExpiresAt.IsZero() {
		line += "\t" + a.style().Dim("expires "+when(e.ExpiresAt))
	}
	_, err := fmt.Fprintln(a.out, line)
	return err
}
