package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// mending is how long a node may take to restore what its disk has spoilt.
const mending = 2 * time.Minute

// rotten is a running cluster, the objects of which lie in tables of n1.
type rotten struct {
	live
	doors
	keys   []string // in order
	values map[string]string
}

func newRotten(t *testing.T, bucket string) *rotten {
	r := &rotten{live: live{t, filepath.Join(t.TempDir(), "cluster")}, doors: doors{t, freePorts(t, 3)}, values: map[string]string{}}
	t.Cleanup(func() { r.run("local", "stop", "--timeout", "5s") })
	r.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(r.base), "--kvnode", program(t, "kvnode"))
	random := rand.NewChaCha8([32]byte{2}) // nothing to compress: it lies in the tables as it is
	var lines strings.Builder
	for _, key := range inOrder(t, bucket) {
		value := make([]byte, 100)
		_, _ = random.Read(value)
		r.values[key] = fmt.Sprintf("%x", value)
		r.keys = append(r.keys, key)
		fmt.Fprintf(&lines, `{"op":"put","bucket":%q,"key":%q,"value":%q}`+"\n", bucket, key, r.values[key])
	}
	o := r.runWith(lines.String(), "batch", "-", "--quiet", "--w", "all")
	require.Zero(t, o.exit, o)
	r.ok("local", "stop")
	r.ok("local", "start", "--kvnode", program(t, "kvnode")) // a start turns the log into tables
	return r
}

// inOrder are keys in the order of their rows. In the middle of the tables lie blocks of
// objects alone, of many replicas.
func inOrder(t *testing.T, bucket string) (keys []string) {
	layout, err := ring.New([16]byte{1}, partitions, 1, []ring.Node{{Name: "n1", Capacity: 1}})
	require.NoError(t, err)
	for i := range 80 {
		keys = append(keys, fmt.Sprintf("key-%05d", i))
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Compare(layout.PartitionOf(bucket, a), layout.PartitionOf(bucket, b))
	})
	return keys
}

// partitions is how many a local cluster has.
const partitions = 256

// spoil flips a bit of a value in the tables of n1, which is stopped.
func (r *rotten) spoil(key string) {
	tables, err := filepath.Glob(filepath.Join(r.dir, "n1", "data", "db", "*.sst"))
	require.NoError(r.live.t, err)
	hit := false
	for _, name := range tables {
		content, err := os.ReadFile(name)
		require.NoError(r.live.t, err)
		if at := bytes.Index(content, []byte(r.values[key])); at >= 0 {
			content[at+50] ^= 1
			require.NoError(r.live.t, os.WriteFile(name, content, 0o600))
			hit = true
		}
	}
	require.True(r.live.t, hit, "%s is in no table of n1", key)
}

// metric is the value of a metric of n1.
func (r *rotten) metric(name string) string {
	code, page := r.ask(http.MethodGet, 1, "/metrics", "")
	require.Equal(r.live.t, http.StatusOK, code)
	m := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(page)
	require.NotNil(r.live.t, m, name)
	return m[1]
}

// repairs are what n1 says of itself in kvcli repair status.
func (r *rotten) repairs() (damaged int, restored uint64) {
	var doc repairStatusDoc
	require.NoError(r.live.t, json.Unmarshal([]byte(r.ok("repair", "status", "-o", "json")), &doc))
	n1 := doc.Nodes[0].Replication
	return n1.Damaged, n1.Repairs.Restored
}

// TestADamagedBlockIsNeverServed: a bit flips on the disk of a node that is down. Who
// asks that very node gets the right value, as others have it; the log, the metrics
// and repair status tell of the damage; and it is mended from the others.
func TestADamagedBlockIsNeverServed(t *testing.T) {
	t.Parallel()
	r := newRotten(t, "b")
	victim := r.keys[len(r.keys)/2]
	r.ok("local", "kill", "1")
	r.spoil(victim)
	r.ok("local", "restart", "1")
	code, got := r.ask(http.MethodGet, 1, "/v1/buckets/b/keys/"+victim, "")
	require.Equal(t, http.StatusOK, code, got)
	require.Equal(t, r.values[victim], got)
	require.Equal(t, r.values[victim], r.ok("get", "b", victim))
	r.run("key", "inspect", "b", victim) // asks all homes, also where a get asks the others

	require.Eventually(t, func() bool {
		damaged, restored := r.repairs()
		return damaged == 0 && restored > 0
	}, mending, 50*time.Millisecond)
	require.NotEqual(t, "0", r.metric("kindred_store_corruptions_total"))
	require.NotEqual(t, "0", r.metric("kindred_audit_restored_total"))
	log := r.ok("local", "logs", "1")
	require.Contains(t, log, "a stored block is corrupt; its keys are not served by this node until they are restored from others")
	require.Regexp(t, `storage: row .*in \S+\.sst is damaged`, log)
	require.Regexp(t, `[1-9][0-9]* parts lost on disk, [1-9][0-9]* objects restored`, r.ok("repair", "status"))

	var seen inspectDoc
	require.NoError(t, decode(r.ok("key", "inspect", "b", victim, "-o", "json"), &seen))
	require.Equal(t, verdictEqual, seen.Verdict)
	r.ok("local", "restart", "1")
	for key, value := range r.values {
		require.Equal(t, value, r.ok("get", "b", key, "--r", "all"), "what is restored is on the disk of n1 too")
	}
}

// damaged is how an error says that the disk is the reason.
var damaged = regexp.MustCompile(`(?s)\(.*n1 .*(is damaged|has lost something itself)`)

// TestWhatIsDamagedIsNotSaidToBeAbsent: the only replica that can be asked cannot be
// read, so nobody can tell what the key holds.
func TestWhatIsDamagedIsNotSaidToBeAbsent(t *testing.T) {
	t.Parallel()
	r := newRotten(t, "b")
	victim := r.keys[len(r.keys)/2]
	r.ok("local", "stop")
	r.spoil(victim)
	r.ok("local", "restart", "1", "--no-wait")
	var o outcome
	require.Eventually(t, func() bool {
		o = r.run("get", "b", victim, "--r", "1", "--timeout", "5s")
		require.Empty(t, o.stdout)
		require.NotEqual(t, 2, o.exit, "not found: %s", o)
		return damaged.MatchString(o.stderr)
	}, mending, 50*time.Millisecond, "%s", &o)
	require.Equal(t, 6, o.exit, o)
}
