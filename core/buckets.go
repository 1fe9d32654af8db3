package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/wire"
)

// BucketAnswer says what came of a change of a bucket.
type BucketAnswer struct {
	Token   uint64
	Changed kindred.BucketChanged
}

// ChangeBucket creates a bucket or gives it other options. Its answer carries the
// token; a refusal is returned at once, and then there is no answer.
func (c *Control) ChangeBucket(now time.Time, token uint64, change kindred.BucketChange) *kindred.Error {
	layout := c.view.Layout()
	if layout == nil {
		return NoLayout(c.node)
	}
	return c.book.Change(now, c.ClusterID(), token, change, layout.Replicas())
}

// Buckets is the registry that the node goes by.
func (c *Control) Buckets() *buckets.Registry { return c.book.Registry() }

func (c *Control) addBuckets(e buckets.Effects) {
	if e.Save != nil {
		c.out.SaveBuckets = e.Save
	}
	if e.Registry != nil {
		c.out.Buckets = e.Registry
	}
	for _, s := range e.Sends {
		letter := wire.Buckets(s.Letter)
		c.out.Sends = append(c.out.Sends, Send{To: s.To, Msg: &letter})
	}
	for _, a := range e.Answers {
		c.out.Changes = append(c.out.Changes, BucketAnswer{Token: a.Token, Changed: c.changed(a)})
	}
	for _, text := range e.Notes {
		c.out.Notes = append(c.out.Notes, membership.Note{Loud: true, Text: text})
	}
}

// changed names the members that go by a change, and those that have yet to.
func (c *Control) changed(a buckets.Answer) kindred.BucketChanged {
	changed := kindred.BucketChanged{KnownBy: []string{c.node}}
	if l := c.view.Layout(); l != nil {
		changed.Bucket = c.book.Registry().Bucket(a.Bucket, l.Replicas())
	}
	for _, m := range c.view.Members() {
		switch {
		case m.Name == c.node || m.State == kindred.Left:
		case slices.Contains(a.KnownBy, m.Name):
			changed.KnownBy = append(changed.KnownBy, m.Name)
		default:
			changed.Unheard = append(changed.Unheard, m.Name)
		}
	}
	slices.Sort(changed.KnownBy)
	return changed
}

// SetBuckets makes the shard go by that registry from now on.
func (s *Shard) SetBuckets(registry *buckets.Registry) { s.buckets = registry }

// choose fills in what the request leaves to its bucket, in a copy of it: the
// request itself belongs to whoever asked.
func (s *Shard) choose(req *kindred.Request) (*kindred.Request, *kindred.BucketOptions, *kindred.Error) {
	options, created := s.buckets.Options(req.Bucket)
	if !created {
		return req, nil, nil
	}
	if len(req.Value) > options.ValueBytesMax {
		return nil, nil, kindred.TooLarge("value", options.ValueBytesMax, len(req.Value),
			"the bucket allows no more (max-value-bytes): split the value over several keys, or raise the limit of the bucket")
	}
	chosen := *req
	if chosen.R == kindred.CountDefault {
		chosen.R = options.R
	}
	if chosen.W == kindred.CountDefault {
		chosen.W = options.W
	}
	if chosen.Durability == kindred.DurabilityDefault {
		chosen.Durability = options.Durability
	}
	if chosen.Sloppy == kindred.SloppinessDefault && (req.Op != kindred.OpScan || options.Sloppy == kindred.Strict) {
		chosen.Sloppy = options.Sloppy // scans are sloppy on demand only
	}
	if req.Op == kindred.OpPut && chosen.TTL == 0 && chosen.ExpiresAt.IsZero() {
		chosen.TTL = options.TTL
	}
	return &chosen, options, nil
}
