package api_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

// full has every field set to something that is not the default.
func full() kindred.BucketOptions {
	return kindred.BucketOptions{
		N: 3, R: kindred.CountAll, W: 2, Sloppy: kindred.Strict, Siblings: kindred.SiblingsLWW,
		Durability: kindred.Sync, ValueBytesMax: 4096, TTL: 90 * time.Minute,
	}
}

// A new option that no message carries fails here.
func TestEveryOptionOfABucketTravels(t *testing.T) {
	require.Equal(t, 8, reflect.TypeFor[kindred.BucketOptions]().NumField(), "full has to be extended")
	change := kindred.BucketChange{Bucket: "carts", Options: full(), CreateOnly: true, Timeout: 1500 * time.Millisecond}
	got, err := api.ParseBucketChange(travel(t, api.FormatBucketChange(&change)))
	require.Nil(t, err)
	require.Equal(t, change, got)

	changed := kindred.BucketChanged{
		Bucket:  kindred.Bucket{Name: "carts", Created: true, Options: full(), Version: 7, By: "n1", At: time.UnixMilli(1e12).UTC()},
		KnownBy: []string{"n1"}, Unheard: []string{"n2", "n3"},
	}
	require.Equal(t, changed, api.ParseBucketChanged(travel(t, api.FormatBucketChanged(&changed))))
	all := []kindred.Bucket{changed.Bucket, {Name: "b", Options: kindred.BucketOptions{}.Complete(3)}}
	require.Equal(t, all, api.ParseBuckets(travel(t, api.FormatBuckets(all))))
	require.Equal(t, kindred.BucketChanged{}, api.ParseBucketChanged(travel(t, api.FormatBucketChanged(&kindred.BucketChanged{}))))
}

// What is shown can be put.
func TestOptionsAreReadAsTheyAreShown(t *testing.T) {
	for _, want := range []kindred.BucketOptions{full(), kindred.BucketOptions{}.Complete(5)} {
		b := kindred.Bucket{Options: want}
		doc, err := json.Marshal(api.NewBucketDoc(&b).Options)
		require.NoError(t, err)
		got, bad := api.ParseBucketOptions(doc)
		require.Nil(t, bad)
		require.Equal(t, want, got)
	}
	got, bad := api.ParseBucketOptions([]byte(`{"w": 2, "ttl": ""}`))
	require.Nil(t, bad)
	require.Equal(t, kindred.BucketOptions{W: 2}, got, "counts may be numbers, the rest is left out")
}

func TestBadOptionsAreNamed(t *testing.T) {
	for body, want := range map[string][2]string{
		`[]`:                      {"body", `the options are no JSON object, such as {"w": "all"}: json: cannot unmarshal array into Go value of type map[string]json.RawMessage`},
		`{"colour": 1}`:           {"colour", `"colour" is not an option of a bucket: use durability, max_value_bytes, n, r, siblings, sloppy, ttl, w`},
		`{"r": "many"}`:           {"r", `"many" is not a replica count: use a number from 1 to 16, one, quorum or all`},
		`{"w": 17}`:               {"w", `"17" is not a replica count: use a number from 1 to 16, one, quorum or all`},
		`{"sloppy": "yes"}`:       {"sloppy", `"yes" is not true or false`},
		`{"siblings": "newest"}`:  {"siblings", `"newest" does not say what becomes of siblings: use keep or lww`},
		`{"durability": "tape"}`:  {"durability", `"tape" is not a durability: use memory, batch or sync`},
		`{"max_value_bytes": ""}`: {"max_value_bytes", `"" is not a number of bytes`},
		`{"ttl": "soon"}`:         {"ttl", `"soon" is not a time to live: use a Go duration such as 90s or 24h`},
		`{"ttl": 5}`:              {"ttl", `5 is not a text`},
	} {
		_, err := api.ParseBucketOptions([]byte(body))
		require.NotNil(t, err, body)
		require.Equal(t, want, [2]string{err.Field, err.Message}, body)
	}
}
