package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

// keeper keeps buckets in a map, on a cluster of three replicas.
type keeper struct {
	changed map[string]kindred.Bucket
	last    kindred.BucketChange
	// fail answers everything, if set.
	fail *kindred.Error
}

func (k *keeper) Buckets() (all []kindred.Bucket, err *kindred.Error) {
	for _, b := range k.changed {
		all = append(all, b)
	}
	return all, k.fail
}

func (k *keeper) Bucket(name string) (kindred.Bucket, *kindred.Error) {
	if k.fail != nil {
		return kindred.Bucket{}, k.fail
	}
	if b, ok := k.changed[name]; ok {
		return b, nil
	}
	return kindred.Bucket{Name: name, Options: kindred.BucketOptions{}.Complete(3)}, nil
}

func (k *keeper) ChangeBucket(_ context.Context, c kindred.BucketChange) (kindred.BucketChanged, *kindred.Error) {
	k.last = c
	if k.fail != nil {
		return kindred.BucketChanged{}, k.fail
	}
	if err := kindred.CheckBucketOptions(&c.Options, 3); err != nil {
		return kindred.BucketChanged{}, err
	}
	b := kindred.Bucket{Name: c.Bucket, Created: true, Options: c.Options.Complete(3), Version: 1, By: "n1", At: time.UnixMilli(1e12)}
	k.changed[c.Bucket] = b
	return kindred.BucketChanged{Bucket: b, KnownBy: []string{"n1"}, Unheard: []string{"n2"}}, nil
}

func openWithBuckets(t *testing.T) (*house, *keeper) {
	k := &keeper{changed: map[string]kindred.Bucket{}}
	return open(t, func(c *server.Config) { c.Buckets = k }), k
}

const defaults = `{"bucket":%q,"created":false,"options":{"n":3,"r":"quorum","w":"quorum","sloppy":true,"siblings":"keep","durability":"batch","max_value_bytes":8388608,"ttl":"0s"},"version":0,"changed_by":"","changed_at":""}` + "\n"

func TestABucketIsMadeAndShownOverHTTP(t *testing.T) {
	h, k := openWithBuckets(t)
	empty := h.get(t, "/v1/buckets")
	require.Equal(t, 200, empty.status)
	require.Equal(t, `{"buckets":[]}`+"\n", empty.body)
	require.Equal(t, fmt.Sprintf(defaults, "a b"), h.get(t, "/v1/buckets/a%20b").body)

	made := h.put(t, "/v1/buckets/carts?timeout=1s", `{"w": "all", "ttl": "24h", "siblings": "lww"}`, "If-None-Match", "*")
	require.Equal(t, 200, made.status, made.body)
	const carts = `"bucket":"carts","created":true,"options":{"n":3,"r":"quorum","w":"all","sloppy":true,"siblings":"lww","durability":"batch","max_value_bytes":8388608,"ttl":"24h0m0s"},"version":1,"changed_by":"n1","changed_at":"2001-09-09T01:46:40Z"`
	require.Equal(t, `{`+carts+`,"known_by":["n1"],"unheard":["n2"]}`+"\n", made.body)
	require.True(t, k.last.CreateOnly)
	require.Equal(t, time.Second, k.last.Timeout)
	require.Equal(t, `{`+carts+"}\n", h.get(t, "/v1/buckets/carts").body)
	require.Equal(t, `{"buckets":[{`+carts+"}]}\n", h.get(t, "/v1/buckets").body)

	require.Equal(t, 200, h.put(t, "/v1/buckets/carts", "").status, "no body: the defaults")
	require.Equal(t, kindred.BucketOptions{}, k.last.Options)
	require.False(t, k.last.CreateOnly)
}

func TestBadBucketsAreNamed(t *testing.T) {
	h, _ := openWithBuckets(t)
	long := strings.Repeat("b", 256)
	for _, c := range []struct {
		method, path, body string
		status             int
		field, message     string
	}{
		{"PUT", "/v1/buckets/b", `{"w": 4}`, 400, "w", "w=4, but this cluster keeps 3 replicas: use a number from 1 to 3, one, quorum or all"},
		{"PUT", "/v1/buckets/b", `{"colour": "red"}`, 400, "colour", `\"colour\" is not an option of a bucket: use durability, max_value_bytes, n, r, siblings, sloppy, ttl, w`},
		{"PUT", "/v1/buckets/b", strings.Repeat(" ", 5000), 413, "body", "the options have more bytes than all of them need: leave out what is no option"},
		{"PUT", "/v1/buckets/b?colour=red", "", 400, "colour", ""},
		{"PUT", "/v1/buckets/" + long, "", 413, "bucket", "bucket has 256 bytes, the limit is 255: use a shorter bucket name"},
		{"GET", "/v1/buckets/" + long, "", 413, "bucket", ""},
		{"GET", "/v1/buckets/%ff", "", 400, "bucket", "the bucket name is not valid UTF-8"},
		{"GET", "/v1/buckets?x=1", "", 400, "x", ""},
		{"DELETE", "/v1/buckets/b", "", 405, "method", "use GET, HEAD, PUT"},
		{"PUT", "/v1/buckets", "", 405, "method", "use GET, HEAD"},
		{"GET", "/v1/buckets/", "", 404, "path", ""},
		{"GET", "/v1/buckets/b/other", "", 404, "path", ""},
	} {
		got := h.do(t, c.method, c.path, strings.NewReader(c.body))
		require.Equal(t, c.status, got.status, "%s %s: %s", c.method, c.path, got.body)
		if c.field != "" {
			require.Contains(t, got.body, fmt.Sprintf(`"field":%q`, c.field))
		}
		require.Contains(t, got.body, c.message)
	}
	require.Contains(t, h.put(t, "/v1/buckets/b", "", "If-None-Match", `"x"`).body, "use * to create a bucket that must not exist with other options")
	none := open(t)
	require.Contains(t, none.get(t, "/v1/buckets").body, "this server keeps no options of buckets")
}

func TestABucketIsMadeAndShownOverGRPC(t *testing.T) {
	h, k := openWithBuckets(t)
	c := pb.NewClusterClient(h.dial(t))
	change := kindred.BucketChange{Bucket: "carts", Options: kindred.BucketOptions{W: kindred.CountAll}, CreateOnly: true, Timeout: time.Second}
	m, err := c.ChangeBucket(within(t), api.FormatBucketChange(&change))
	require.NoError(t, err)
	require.Equal(t, change, k.last)
	changed := api.ParseBucketChanged(m)
	require.Equal(t, []string{"n2"}, changed.Unheard)

	all, err := c.Buckets(within(t), &pb.BucketsRequest{})
	require.NoError(t, err)
	require.Equal(t, []kindred.Bucket{changed.Bucket}, api.ParseBuckets(all))
	one, err := c.Buckets(within(t), &pb.BucketsRequest{Bucket: "other"})
	require.NoError(t, err)
	require.False(t, api.ParseBuckets(one)[0].Created)

	change.Options.W = 4
	_, err = c.ChangeBucket(within(t), api.FormatBucketChange(&change))
	require.Equal(t, "w", api.ErrorOf(err).Field)
	_, err = c.ChangeBucket(within(t), &pb.ChangeBucketRequest{})
	require.Equal(t, "bucket", api.ErrorOf(err).Field)
}
