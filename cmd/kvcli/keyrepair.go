package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
)

// keyRepairDoc is the document of kvcli key repair.
type keyRepairDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	// Equal: every home replica answered, and those that were behind are mended.
	Equal    bool              `json:"equal"`
	Replicas []repairedViewDoc `json:"replicas"`
}

type repairedViewDoc struct {
	Node string `json:"node"`
	// Error says why the replica did not answer, or was not mended.
	Error string `json:"error"`
	// Repaired: it was behind the others and is not any more.
	Repaired bool `json:"repaired"`
	// Dots are the values that it held before.
	Dots []string `json:"dots"`
}

func (a *app) keyRepair() *cobra.Command {
	var key keyFlags
	c := &cobra.Command{
		Use: "repair BUCKET KEY", Short: "Make all home replicas of a key equal", Args: cobra.ExactArgs(2),
		Long: `Repair reads a key at every home replica, joins what they hold, and gives each
what it lacks. It chooses nothing: siblings stay siblings.

The exit code is 6 if a home replica could not be asked or mended.`,
		Example: "  kvcli key repair carts alice",
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				views, err := cl.RepairKey(c.Context(), bucket, k)
				if err != nil {
					return err
				}
				return a.printKeyRepair(bucket, k, views)
			})
		},
	}
	key.register(c)
	return c
}

func (a *app) printKeyRepair(bucket, key string, views []kindred.ReplicaView) error {
	doc := keyRepairDoc{Bucket: bucket, keyDoc: newKeyDoc(key), Equal: len(views) > 0, Replicas: []repairedViewDoc{}}
	var failed []string
	for _, v := range views {
		doc.Replicas = append(doc.Replicas, repairedViewDoc{Node: v.Node, Error: v.Err, Repaired: v.Repaired, Dots: list(dots(v))})
		if v.Err != "" {
			failed = append(failed, v.Node)
		}
	}
	doc.Equal = doc.Equal && len(failed) == 0
	if err := a.print(doc, func(w io.Writer) error { return a.writeKeyRepair(w, doc) }); err != nil || doc.Equal {
		return err
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"not every home replica of %s/%s is known to be mended: see %s, and repair again", bucket, shown(key), orUnknown(strings.Join(failed, ", ")))}
}

func (a *app) writeKeyRepair(w io.Writer, doc keyRepairDoc) error {
	t := table{header: []string{"HOME", "BEFORE", "NOW"}}
	for _, r := range doc.Replicas {
		now, paint := "was right", a.style().Good
		switch {
		case r.Error != "":
			now, paint = "unknown: "+r.Error, a.style().Bad
		case r.Repaired:
			now, paint = "repaired", a.style().Warn
		}
		row := plainCells(r.Node, counted(len(r.Dots), "value", "values"), now)
		row[2].paint = paint
		t.add(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	if !doc.Equal {
		return nil
	}
	text := "equal: nothing was to be repaired"
	if slices.ContainsFunc(doc.Replicas, func(r repairedViewDoc) bool { return r.Repaired }) {
		text = "equal now"
	}
	_, err := fmt.Fprintf(w, "\n%s\n", a.style().Good(text))
	return err
}
