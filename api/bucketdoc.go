package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// BucketDoc is a [kindred.Bucket] in JSON, in HTTP answers and in those of kvcli.
type BucketDoc struct {
	Bucket    string           `json:"bucket"`
	Created   bool             `json:"created"`
	Options   BucketOptionsDoc `json:"options"`
	Version   uint64           `json:"version"`
	ChangedBy string           `json:"changed_by"`
	ChangedAt string           `json:"changed_at"`
}

// BucketOptionsDoc are options in JSON: counts as words, such as "quorum" and "2",
// and the time to live as a Go duration.
type BucketOptionsDoc struct {
	N             int    `json:"n"`
	R             string `json:"r"`
	W             string `json:"w"`
	Sloppy        bool   `json:"sloppy"`
	Siblings      string `json:"siblings"`
	Durability    string `json:"durability"`
	MaxValueBytes int    `json:"max_value_bytes"`
	TTL           string `json:"ttl"`
}

// BucketsDoc lists buckets.
type BucketsDoc struct {
	Buckets []BucketDoc `json:"buckets"`
}

// BucketChangedDoc is what came of a change.
type BucketChangedDoc struct {
	BucketDoc
	KnownBy []string `json:"known_by"`
	Unheard []string `json:"unheard"`
}

// NewBucketDoc shows a bucket, whose options are complete.
func NewBucketDoc(b *kindred.Bucket) BucketDoc {
	o := &b.Options
	return BucketDoc{
		Bucket: b.Name, Created: b.Created, Version: b.Version, ChangedBy: b.By, ChangedAt: moment(b.At),
		Options: BucketOptionsDoc{
			N: o.N, R: o.R.String(), W: o.W.String(), Sloppy: o.Sloppy.IsSloppy(), Siblings: o.Siblings.String(),
			Durability: o.Durability.String(), MaxValueBytes: o.ValueBytesMax, TTL: o.TTL.String(),
		},
	}
}

// NewBucketsDoc lists buckets; the list is never null.
func NewBucketsDoc(all []kindred.Bucket) BucketsDoc {
	doc := BucketsDoc{Buckets: []BucketDoc{}}
	for i := range all {
		doc.Buckets = append(doc.Buckets, NewBucketDoc(&all[i]))
	}
	return doc
}

// NewBucketChangedDoc shows what came of a change.
func NewBucketChangedDoc(c *kindred.BucketChanged) BucketChangedDoc {
	return BucketChangedDoc{
		BucketDoc: NewBucketDoc(&c.Bucket), KnownBy: append([]string{}, c.KnownBy...), Unheard: append([]string{}, c.Unheard...),
	}
}

// ParseBucketOptions reads options from JSON, with the names of
// [BucketOptionsDoc]. Every one may be left out; counts may be numbers.
func ParseBucketOptions(body []byte) (o kindred.BucketOptions, bad *kindred.Error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return o, kindred.Invalid("body", `the options are no JSON object, such as {"w": "all"}: %v`, err)
	}
	known := map[string]func(json.RawMessage) error{
		"n":               read(&o.N, "a number"),
		"r":               count(&o.R),
		"w":               count(&o.W),
		"sloppy":          sloppy(&o.Sloppy),
		"siblings":        word(&o.Siblings, kindred.ParseSiblings),
		"durability":      word(&o.Durability, kindred.ParseDurability),
		"max_value_bytes": read(&o.ValueBytesMax, "a number of bytes"),
		"ttl":             word(&o.TTL, parseBucketTTL),
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		set := known[name]
		if set == nil {
			return o, kindred.Invalid(clipName(name), "%q is not an option of a bucket: use %s", clipName(name), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := set(fields[name]); err != nil {
			return o, kindred.Invalid(name, "%v", err)
		}
	}
	return o, nil
}

func read[T any](to *T, what string) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		if json.Unmarshal(raw, to) != nil {
			return fmt.Errorf("%s is not %s", clipName(string(raw)), what)
		}
		return nil
	}
}

func word[T any](to *T, parse func(string) (T, error)) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var s string
		err := read(&s, "a text")(raw)
		if err == nil {
			*to, err = parse(s)
		}
		return err
	}
}

// count takes a number as well as a word.
func count(to *kindred.Count) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		return word(to, kindred.ParseCount)(quoted(raw))
	}
}

func quoted(raw json.RawMessage) json.RawMessage {
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && raw[0] >= '0' && raw[0] <= '9' {
		return slices.Concat([]byte{'"'}, raw, []byte{'"'})
	}
	return raw
}

func sloppy(to *kindred.Sloppiness) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var yes bool
		err := read(&yes, "true or false")(raw)
		*to = kindred.SloppyOr(yes)
		return err
	}
}

func parseBucketTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time to live: use a Go duration such as 90s or 24h", s)
	}
	return d, nil
}

// clipName bounds what an error repeats of its request.
func clipName(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
