package kindred

import (
	"fmt"
	"time"
)

// Limits of buckets.
const (
	// BucketsMax is the number of buckets that may be created. A bucket that has
	// not been created has the defaults and costs nothing: buckets are for options,
	// not for tenants. Two sides of a cut may each create so many.
	BucketsMax = 1000
	// BucketTTLMax is the longest time to live that a bucket gives to its values.
	BucketTTLMax = 100 * 365 * 24 * time.Hour
)

// Siblings says what becomes of concurrent values of one key.
type Siblings uint8

const (
	// SiblingsDefault is [SiblingsKeep].
	SiblingsDefault Siblings = iota
	// SiblingsKeep shows all of them until a writer who has seen them decides.
	SiblingsKeep
	// SiblingsLWW keeps the one that was written last, by the clocks of the nodes.
	SiblingsLWW
)

var siblingsWords = [...]string{"", "keep", "lww"}

// String is the word users write; the default is empty.
func (s Siblings) String() string {
	if int(s) < len(siblingsWords) {
		return siblingsWords[s]
	}
	return fmt.Sprintf("Siblings(%d)", uint8(s))
}

// ParseSiblings reads keep, lww, or "" for the default.
func ParseSiblings(s string) (Siblings, error) {
	for i, w := range siblingsWords {
		if s == w {
			return Siblings(i), nil
		}
	}
	return 0, fmt.Errorf("%q does not say what becomes of siblings: use keep or lww", s)
}

// BucketOptions are what a bucket decides for requests that leave it open. The
// zero value of each stands for the default.
type BucketOptions struct {
	// N is the number of home replicas.
	N int
	// R and W are how many replicas a read and a write wait for.
	R, W Count
	// Sloppy says whether guests count toward R and W.
	Sloppy   Sloppiness
	Siblings Siblings
	// Durability of writes.
	Durability Durability
	// ValueBytesMax bounds the values, whatever a request says.
	ValueBytesMax int
	// TTL is the time to live of values that are put without one; 0 lets them stay.
	TTL time.Duration
}

// Complete fills in the defaults, in a cluster with that many replicas.
func (o BucketOptions) Complete(replicas int) BucketOptions {
	if o.N == 0 {
		o.N = replicas
	}
	if o.R == CountDefault {
		o.R = CountQuorum
	}
	if o.W == CountDefault {
		o.W = CountQuorum
	}
	if o.Sloppy == SloppinessDefault {
		o.Sloppy = Sloppy
	}
	if o.Siblings == SiblingsDefault {
		o.Siblings = SiblingsKeep
	}
	if o.Durability == DurabilityDefault {
		o.Durability = Batch
	}
	if o.ValueBytesMax == 0 {
		o.ValueBytesMax = ValueBytesMax
	}
	return o
}

// CheckBucketOptions reports what is wrong with options in a cluster with that
// many replicas, or nil.
func CheckBucketOptions(o *BucketOptions, replicas int) *Error {
	if err := CheckBucketBounds(o); err != nil {
		return err
	}
	if o.N != 0 && o.N != replicas {
		return &Error{
			Code: CodeInvalid, Field: "n", Limit: int64(replicas), Outcome: NotApplied,
			Message: fmt.Sprintf("n=%d, but this cluster keeps %d replicas of everything, and a bucket cannot differ from that: leave n out, or start a cluster with --replicas %d", o.N, replicas, o.N),
		}
	}
	return checkBucketCounts(o, replicas)
}

func checkBucketCounts(o *BucketOptions, replicas int) *Error {
	for _, f := range [...]struct {
		name string
		c    Count
	}{{"r", o.R}, {"w", o.W}} {
		switch {
		case f.c < CountAll:
			return Invalid(f.name, "%s=%d is not a replica count: use a number from 1 to %d, one, quorum or all", f.name, int(f.c), replicas)
		case int(f.c) > replicas:
			return &Error{
				Code: CodeInvalid, Field: f.name, Limit: int64(replicas), Outcome: NotApplied,
				Message: fmt.Sprintf("%s=%d, but this cluster keeps %d replicas: use a number from 1 to %d, one, quorum or all", f.name, int(f.c), replicas, replicas),
			}
		}
	}
	return nil
}

// CheckBucketBounds reports what is wrong with options in any cluster, or nil.
func CheckBucketBounds(o *BucketOptions) *Error {
	switch {
	case o.N < 0 || o.N > ReplicasMax:
		return &Error{
			Code: CodeInvalid, Field: "n", Limit: ReplicasMax, Outcome: NotApplied,
			Message: fmt.Sprintf("n=%d is no number of replicas: leave n out for those of the cluster", o.N),
		}
	case o.Sloppy > Strict:
		return Invalid("sloppy", "%s is no answer to whether guests count: use true or false", o.Sloppy)
	case o.Siblings > SiblingsLWW:
		return Invalid("siblings", "%s does not say what becomes of siblings: use keep or lww", o.Siblings)
	case o.Durability > Sync:
		return Invalid("durability", "%s is not a durability: use memory, batch or sync", o.Durability)
	case o.ValueBytesMax < 0 || o.ValueBytesMax > ValueBytesMax:
		return &Error{
			Code: CodeInvalid, Field: "max_value_bytes", Limit: ValueBytesMax, Outcome: NotApplied,
			Message: fmt.Sprintf("max_value_bytes=%d: use a number from 1 to %d, which no value may pass anyway, or leave it out", o.ValueBytesMax, ValueBytesMax),
		}
	case o.TTL < 0 || o.TTL > 0 && o.TTL < time.Millisecond:
		return Invalid("ttl", "ttl=%v is too short: use at least 1ms, or leave it out for values that stay", o.TTL)
	case o.TTL > BucketTTLMax:
		return Invalid("ttl", "ttl=%v is longer than %v: leave it out for values that stay", o.TTL, BucketTTLMax)
	}
	return nil
}

// Bucket is a bucket as a node knows it.
type Bucket struct {
	Name string
	// Created: somebody has created it. One that nobody has has the defaults.
	Created bool
	// Options are complete.
	Options BucketOptions
	// Version counts the changes; By is the node that took the last one, At when,
	// by its clock.
	Version uint64
	By      string
	At      time.Time
}

// BucketChange creates a bucket or gives it other options.
type BucketChange struct {
	Bucket  string
	Options BucketOptions
	// CreateOnly refuses to change a bucket that exists with other options.
	CreateOnly bool
	// Timeout is how long to wait for the other members; zero means the node's
	// default. The change is made even if they do not answer.
	Timeout time.Duration
}

// BucketChanged is what came of a change: the bucket as it is now, the members
// that go by it, and those that have yet to hear of it.
type BucketChanged struct {
	Bucket           Bucket
	KnownBy, Unheard []string
}
