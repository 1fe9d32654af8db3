package server

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// BucketKeeper knows the buckets and their options.
type BucketKeeper interface {
	// Buckets lists those that were created, by name.
	Buckets() ([]kindred.Bucket, *kindred.Error)
	// Bucket is one of any name; it has the defaults if nobody has created it.
	Bucket(name string) (kindred.Bucket, *kindred.Error)
	// ChangeBucket creates a bucket or replaces its options, and waits for who can
	// be reached.
	ChangeBucket(ctx context.Context, change kindred.BucketChange) (kindred.BucketChanged, *kindred.Error)
}

// optionsBytesMax bounds the body of a change: every option, written at length.
const optionsBytesMax = 4 << 10

// keeper is the one of the configuration, or says that there is none.
func (s *Server) keeper() (BucketKeeper, *kindred.Error) {
	if s.cfg.Buckets == nil {
		return nil, kindred.Invalid("buckets", "this server keeps no options of buckets: every bucket has the defaults")
	}
	return s.cfg.Buckets, nil
}

// buckets are all that were created, or the one of that name.
func (s *Server) buckets(name string) ([]kindred.Bucket, *kindred.Error) {
	k, err := s.keeper()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return k.Buckets()
	}
	b, err := k.Bucket(name)
	if err != nil {
		return nil, err
	}
	return []kindred.Bucket{b}, nil
}

func (s *Server) changeBucket(ctx context.Context, change kindred.BucketChange, bad *kindred.Error) (kindred.BucketChanged, *kindred.Error) {
	if bad != nil {
		return kindred.BucketChanged{}, bad
	}
	k, err := s.keeper()
	if err != nil {
		return kindred.BucketChanged{}, err
	}
	return k.ChangeBucket(ctx, change)
}

// Buckets is for gRPC.
func (d *clusterDoor) Buckets(_ context.Context, m *pb.BucketsRequest) (*pb.BucketsResponse, error) {
	all, err := d.buckets(m.GetBucket())
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return api.FormatBuckets(all), nil
}

// ChangeBucket is for gRPC.
func (d *clusterDoor) ChangeBucket(ctx context.Context, m *pb.ChangeBucketRequest) (*pb.ChangeBucketResponse, error) {
	change, bad := api.ParseBucketChange(m)
	changed, err := d.changeBucket(ctx, change, bad)
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return api.FormatBucketChanged(&changed), nil
}

// listBuckets answers GET /v1/buckets.
func (d *httpDoor) listBuckets(w http.ResponseWriter, r *http.Request, _ target) {
	bad := parseQuery(r.URL.RawQuery, nil)
	var all []kindred.Bucket
	if bad == nil {
		all, bad = d.buckets("")
	}
	if bad != nil {
		d.answerError(w, bad)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, api.NewBucketsDoc(all))
}

// showBucket answers GET /v1/buckets/{bucket}.
func (d *httpDoor) showBucket(w http.ResponseWriter, r *http.Request, t target) {
	bad := parseQuery(r.URL.RawQuery, nil)
	if bad == nil {
		bad = kindred.CheckBucket(t.bucket)
	}
	var found []kindred.Bucket
	if bad == nil {
		found, bad = d.buckets(t.bucket)
	}
	if bad != nil {
		d.answerError(w, bad)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, api.NewBucketDoc(&found[0]))
}

// putBucket answers PUT /v1/buckets/{bucket}: all options are replaced. With
// If-None-Match: * a bucket that exists with other options stays as it is.
func (d *httpDoor) putBucket(w http.ResponseWriter, r *http.Request, t target) {
	change := kindred.BucketChange{Bucket: t.bucket}
	bad := parseQuery(r.URL.RawQuery, []parameter{{"timeout", parsed(&change.Timeout, parseTimeout)}})
	if bad == nil {
		bad = kindred.CheckBucket(t.bucket)
	}
	if bad == nil {
		change.CreateOnly, bad = onlyNew(r.Header)
	}
	if bad == nil {
		change.Options, bad = readOptions(w, r)
	}
	changed, err := d.changeBucket(r.Context(), change, bad)
	if err != nil {
		d.answerError(w, err)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, api.NewBucketChangedDoc(&changed))
}

func onlyNew(h http.Header) (bool, *kindred.Error) {
	switch h.Get("If-None-Match") {
	case "":
		return false, nil
	case "*":
		return true, nil
	}
	return false, kindred.Invalid("If-None-Match", "use * to create a bucket that must not exist with other options, or leave the header out")
}

func readOptions(w http.ResponseWriter, r *http.Request) (kindred.BucketOptions, *kindred.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, optionsBytesMax))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return kindred.BucketOptions{}, &kindred.Error{
			Code: kindred.CodeTooLarge, Field: "body", Limit: optionsBytesMax, Outcome: kindred.NotApplied,
			Message: "the options have more bytes than all of them need: leave out what is no option",
		}
	} else if err != nil {
		return kindred.BucketOptions{}, kindred.Invalid("body", "it did not arrive whole: %v", err)
	}
	if len(body) == 0 {
		return kindred.BucketOptions{}, nil
	}
	return api.ParseBucketOptions(body)
}
