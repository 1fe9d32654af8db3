package api

import (
	"math"
	"time"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FormatBucketChange carries a change of a bucket.
func FormatBucketChange(c *kindred.BucketChange) *pb.ChangeBucketRequest {
	return &pb.ChangeBucketRequest{
		Bucket: c.Bucket, Options: formatBucketOptions(&c.Options), CreateOnly: c.CreateOnly, TimeoutMs: inMillis(c.Timeout),
	}
}

// ParseBucketChange reads a change. Whether its options suit the cluster only a
// node can say.
func ParseBucketChange(m *pb.ChangeBucketRequest) (kindred.BucketChange, *kindred.Error) {
	if err := kindred.CheckBucket(m.GetBucket()); err != nil {
		return kindred.BucketChange{}, err
	}
	options, err := parseBucketOptions(m.GetOptions())
	return kindred.BucketChange{
		Bucket: m.GetBucket(), Options: options, CreateOnly: m.GetCreateOnly(), Timeout: millis(m.GetTimeoutMs()),
	}, err
}

func formatBucketOptions(o *kindred.BucketOptions) *pb.BucketOptions {
	ttl := uint64(0)
	if o.TTL > 0 {
		ttl = uint64((o.TTL-1)/time.Millisecond) + 1
	}
	return &pb.BucketOptions{
		N: small(o.N), R: int32(o.R), W: int32(o.W), Sloppy: pb.Sloppiness(o.Sloppy), Siblings: pb.SiblingRule(o.Siblings),
		Durability: pb.Durability(o.Durability), MaxValueBytes: uint64(max(0, o.ValueBytesMax)), TtlMs: ttl,
	}
}

// parseBucketOptions refuses what our words cannot hold; the rest is for
// kindred.CheckBucketOptions.
func parseBucketOptions(m *pb.BucketOptions) (kindred.BucketOptions, *kindred.Error) {
	durability, err := parseDurability(m.GetDurability())
	if err != nil {
		return kindred.BucketOptions{}, err
	}
	sloppy, err := parseSloppiness(m.GetSloppy())
	if err != nil {
		return kindred.BucketOptions{}, err
	}
	if s := m.GetSiblings(); s < 0 || s > pb.SiblingRule(kindred.SiblingsLWW) {
		return kindred.BucketOptions{}, kindred.Invalid("siblings", "%d does not say what becomes of siblings: use keep (%d) or lww (%d)",
			int32(s), kindred.SiblingsKeep, kindred.SiblingsLWW)
	}
	return kindred.BucketOptions{
		N: int(min(m.GetN(), math.MaxInt32)), R: kindred.Count(m.GetR()), W: kindred.Count(m.GetW()),
		Sloppy: sloppy, Siblings: kindred.Siblings(m.GetSiblings()), Durability: durability,
		ValueBytesMax: int(min(m.GetMaxValueBytes(), math.MaxInt32)), TTL: time.Duration(min(m.GetTtlMs(), ttlMillisMax)) * time.Millisecond,
	}, nil
}

func formatBucket(b *kindred.Bucket) *pb.Bucket {
	return &pb.Bucket{
		Name: text(&b.Name), Created: b.Created, Options: formatBucketOptions(&b.Options), Version: b.Version,
		ChangedBy: text(&b.By), ChangedAtUnixMs: formatTime(b.At),
	}
}

// parseBucket leaves out an option that this build has no word for: it becomes the
// default.
func parseBucket(p **pb.Bucket) kindred.Bucket {
	m := *p
	options, _ := parseBucketOptions(m.GetOptions())
	return kindred.Bucket{
		Name: m.GetName(), Created: m.GetCreated(), Options: options, Version: m.GetVersion(),
		By: m.GetChangedBy(), At: parseTime(m.GetChangedAtUnixMs()),
	}
}

// FormatBuckets carries buckets.
func FormatBuckets(all []kindred.Bucket) *pb.BucketsResponse {
	return &pb.BucketsResponse{Buckets: each(all, formatBucket)}
}

// ParseBuckets is the inverse of [FormatBuckets].
func ParseBuckets(m *pb.BucketsResponse) []kindred.Bucket { return each(m.GetBuckets(), parseBucket) }

// FormatBucketChanged carries what came of a change.
func FormatBucketChanged(c *kindred.BucketChanged) *pb.ChangeBucketResponse {
	return &pb.ChangeBucketResponse{
		Bucket: formatBucket(&c.Bucket), KnownBy: each(c.KnownBy, text), Unheard: each(c.Unheard, text),
	}
}

// ParseBucketChanged is the inverse of [FormatBucketChanged].
func ParseBucketChanged(m *pb.ChangeBucketResponse) kindred.BucketChanged {
	bucket := m.GetBucket()
	return kindred.BucketChanged{Bucket: parseBucket(&bucket), KnownBy: m.GetKnownBy(), Unheard: m.GetUnheard()}
}
