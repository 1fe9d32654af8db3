package kindred_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// floors is the plan of the building. It is a statement of policy, in the
// manner of go/build's deps_test.go: a package that wants more than its row
// gives is a reason to talk, not a reason to edit the row.
//
// A package imports lower floors only. "seam" names the one package of the same
// floor that a package may import besides: the interface that it implements. A
// row that ends in /... stands for a folder and everything below it, and these
// may import one another. A package without a row fails the test; a row may
// wait for its package.
//
// pure: every decision is ordinary single-threaded Go. Time and chance are
// arguments; effects are returned. See pureBans for what that forbids.
const floors = `
floor 0   # words and algebra: nothing below, nothing beside
.                     pure              the words every package shares
vclock                pure              dots, dot sets, siblings and their join
ring                  pure              where a key lives
pace                  pure              how much background work gives way to clients
storage               pure              the engine seam: batches, rows, typed errors
storage/memstore      pure seam=storage an engine in memory that can crash on demand
storage/pebblestore   seam=storage      the engine on a disk
storage/storagetest   seam=storage      the suite that every engine passes

floor 1   # languages: between nodes, with clients, about what happened
wire                  pure              messages between nodes and their bytes
api/...                                 the client contract as protobuf
antientropy/hashtree  pure              what is stored, as numbers that can be compared
security                                who is who: certificates, tokens, gossip keys
jepsen/history        pure              what happened
bench/load            pure              what a load asks for, when, and what it took
jepsen/checker        pure seam=jepsen/history whether it was allowed
jepsen/workload       pure seam=jepsen/history what to do next
jepsen/merges         pure              whether a merge function keeps what clients wrote

floor 2   # small machines, one per duty
replica               pure              a partition replica; put, get, delete, read repair
antientropy           pure              making replicas equal: exchange, prune, trust, rebuild, closing
hintedhandoff         pure              what guests owe, to whom, how fast it is delivered
membership            pure              members, layouts, whom to dial again
buckets               pure              which options every bucket has, the same everywhere in the end
client                                  the Go client
transport/faults                        a network between nodes that fails on purpose
jepsen/report         pure              a run as a page and as a document
transport/lobby                         strangers at a port: how many, how long, how much

floor 3   # machines composed; edges of the process
core                  pure              the machines of floor 2 as one shard
transport                               peer links
transport/gossip      seam=transport    the memberlist adapter
server                                  gRPC and HTTP

floor 4   # what a machine is given
recording             pure              the flight recorder of a shard: written down, and played again

floor 5   # a whole node, and a whole cluster in virtual time
node                                    goroutines, commit pipeline, timers, Config
sim/...               pure              a cluster of cores from one seed
sim/explore           pure              every state of small worlds

floor 6
local/...                               clusters of real processes on this machine, and networks for them

floor 7   # what stands outside and looks
jepsen                seam=jepsen/nemesis runner, whole runs, merge functions
jepsen/nemesis                          what goes wrong, and storms of it
bench/...                               benchmarks as ratios
bench/pgo                               the profile that builds go by, without the paths of a machine

floor 8   # words for people
cmd/...                                 wiring
api/generate                            the tool that writes api/kindred/v1
internal/testsum                        counts the results of go test -json
`

// thirdParty lists who may import what from outside. The standard library is
// free to all, but for the packages named here.
const thirdParty = `
github.com/cockroachdb/pebble/v2      storage/pebblestore                 the engine stays behind its seam
github.com/hashicorp/memberlist       transport/gossip                    gossip stays behind its adapter
github.com/google/btree               storage/memstore                    ordered rows with cheap snapshots
github.com/bufbuild/protocompile      api/generate                        a protobuf compiler with nothing to install
github.com/spaolacci/murmur3          ring antientropy/hashtree           one place hashes keys, one what is stored
google.golang.org/grpc                api/... client server transport bench/... jepsen remote calls end at the edges
google.golang.org/genproto            api/... client server               error details of gRPC
google.golang.org/protobuf            api/... api/generate client server bench/pgo so do generated messages, and profiles are such
github.com/prometheus/client_golang   client server node cmd/...          pure machines count, the shell exports
go.opentelemetry.io/otel              client                              spans, for programs that want them
github.com/spf13/cobra                cmd/...                             flags are words for people
github.com/BurntSushi/toml            cmd/...                             the format of the configuration file
github.com/spf13/pflag                cmd/...                             flags are words for people
github.com/HdrHistogram/hdrhistogram-go bench/... bench/load jepsen cmd/...          latencies are measured from outside
github.com/anishathalye/porcupine     jepsen/checker                      linearizability of histories
github.com/stretchr/testify           storage/storagetest                 a suite that fakes pass too is a test
pgregory.net/rapid                    storage/storagetest                 so are its properties
golang.org/x/sync                     client node server transport cmd/... groups of goroutines
golang.org/x/sys                      node storage/pebblestore transport local/... cmd/... free disk space, process groups, options of sockets
C                                     -                                   one static binary, no C compiler needed
unsafe                                api/...                             only what protoc-gen-go writes
testing                               storage/storagetest                 no test code in the binaries
`

// testOnly lists what test files of any package may import from outside.
const testOnly = `
github.com/stretchr/testify           assertions
pgregory.net/rapid                    properties
github.com/anishathalye/porcupine     linearizability
go.opentelemetry.io/otel/sdk          spans that tests can read
github.com/prometheus/client_golang   metrics that tests can read
github.com/cockroachdb/pebble/v2/vfs  faults below the engine
github.com/santhosh-tekuri/jsonschema documents against openapi.yaml
go.yaml.in/yaml/v3                    the form of openapi.yaml
testing                               tests
`

// TestArchitecture holds the module to its plan.
func TestArchitecture(t *testing.T) {
	plan, err := parsePlan(floors, thirdParty, testOnly)
	require.NoError(t, err)
	violations, err := plan.check(os.DirFS("."))
	require.NoError(t, err)
	for _, v := range violations {
		t.Error(v)
	}
}

// TestArchitectureIsEnforced proves that each rule can fail: every row is a
// small program that breaks one of them, and the words that must report it.
func TestArchitectureIsEnforced(t *testing.T) {
	plan, err := parsePlan(floors, thirdParty, testOnly)
	require.NoError(t, err)
	const module = `"github.com/kindredkv/kindred/`
	tests := []struct{ name, file, source, want string }{
		{"unknown package", "helper/a.go", `package helper`, "helper: not in the table of floors"},
		{"unknown folder below a known one", "ring/inner/a.go", `package inner`, "ring/inner: not in the table"},
		{"test-only package without a row", "odd/a_test.go", `package odd`, "odd: not in the table"},

		{"import of a higher floor", "replica/a.go", `package replica; import _ ` + module + `core"`, "replica (floor 2) imports core (floor 3)"},
		{"import of the same floor", "vclock/a.go", `package vclock; import _ ` + module + `ring"`, "vclock (floor 0) imports ring (floor 0)"},
		{"root imports a package of its floor", "a.go", `package kindred; import _ ` + module + `vclock"`, ". (floor 0) imports vclock"},
		{"import of the root on the same floor", "ring/a.go", `package ring; import _ "github.com/kindredkv/kindred"`, "ring (floor 0) imports . (floor 0)"},
		{"seam imports its own adapter", "storage/a.go", `package storage; import _ ` + module + `storage/memstore"`, "storage (floor 0) imports storage/memstore"},
		{"adapters import one another", "storage/pebblestore/a.go", `package p; import _ ` + module + `storage/memstore"`, "storage/pebblestore (floor 0) imports storage/memstore"},
		{"two families of one floor", "cmd/kvcli/a.go", `package main; import _ ` + module + `internal/testsum"`, "cmd/kvcli (floor 8) imports internal/testsum"},
		{"import of a package without a row", "client/a.go", `package client; import _ ` + module + `nowhere"`, "client imports nowhere, which is not in the table"},
		{"pure imports impure", "sim/a.go", `package sim; import _ ` + module + `transport"`, "sim is pure but imports transport, which is not"},
		{"pure seam does not excuse impurity", "core/a.go", `package core; import _ ` + module + `client"`, "core is pure but imports client"},

		{"third party in the wrong place", "node/a.go", `package node; import _ "github.com/cockroachdb/pebble/v2"`, "node may not import github.com/cockroachdb/pebble/v2"},
		{"a package within it", "node/a.go", `package node; import _ "github.com/cockroachdb/pebble/v2/sstable"`, "node may not import github.com/cockroachdb/pebble/v2/sstable"},
		{"third party without a row", "client/a.go", `package client; import _ "github.com/example/left-pad"`, "client may not import github.com/example/left-pad"},
		{"a name that only begins alike", "ring/a.go", `package ring; import _ "github.com/spaolacci/murmur3x"`, "ring may not import github.com/spaolacci/murmur3x"},
		{"third party in a test", "ring/a_test.go", `package ring; import _ "github.com/golang/mock/gomock"`, "tests of ring may not import github.com/golang/mock/gomock"},
		{"testify in code", "core/a.go", `package core; import _ "github.com/stretchr/testify/require"`, "core may not import github.com/stretchr/testify/require"},
		{"testing in code", "server/a.go", `package server; import _ "testing"`, "server may not import testing"},
		{"cgo", "server/a.go", `package server; import "C"`, "server may not import C"},
		{"unsafe", "client/a.go", `package client; import "unsafe"`, "client may not import unsafe"},

		{"goroutine", "core/a.go", `package core; func f() { go f() }`, "core/a.go:1: core is pure: go statement"},
		{"channel type", "core/a.go", `package core; var c chan int`, "core is pure: channel type"},
		{"channel made", "core/a.go", `package core; func f() { _ = make(chan int) }`, "channel type"},
		{"channel parameter", "core/a.go", `package core; func f(<-chan int) {}`, "channel type"},
		{"send", "core/a.go", `package core; func f() { c <- 1 }`, "channel send"},
		{"receive", "core/a.go", `package core; func f() { <-c }`, "channel receive"},
		{"select", "core/a.go", `package core; func f() { select {} }`, "select statement"},
		{"wall clock", "core/a.go", `package core; import "time"; func f() { time.Now() }`, "core is pure: time.Now"},
		{"wall clock passed as a value", "core/a.go", `package core; import "time"; var now = time.Now`, "time.Now"},
		{"wall clock under another name", "core/a.go", `package core; import t "time"; var now = t.Since`, "time.Since"},
		{"wall clock by dot import", "core/a.go", `package core; import . "time"; var now = Now`, "dot import"},
		{"timer", "core/a.go", `package core; import "time"; func f() { time.AfterFunc(0, f) }`, "time.AfterFunc"},
		{"ticker type", "core/a.go", `package core; import "time"; type s struct { *time.Ticker }`, "time.Ticker"},
		{"sleep", "core/a.go", `package core; import "time"; func f() { time.Sleep(1) }`, "time.Sleep"},
		{"global chance", "core/a.go", `package core; import "math/rand"; var n = rand.Int()`, "math/rand.Int"},
		{"global chance, version 2", "core/a.go", `package core; import "math/rand/v2"; var n = rand.IntN(6)`, "math/rand/v2.IntN"},
		{"crypto/rand", "core/a.go", `package core; import _ "crypto/rand"`, "core is pure: import of crypto/rand"},
		{"os", "core/a.go", `package core; import _ "os"`, "import of os"},
		{"os/signal", "core/a.go", `package core; import _ "os/signal"`, "import of os/signal"},
		{"net/http", "core/a.go", `package core; import _ "net/http"`, "import of net/http"},
		{"context", "core/a.go", `package core; import _ "context"`, "import of context"},
		{"log/slog", "core/a.go", `package core; import _ "log/slog"`, "import of log/slog"},
		{"a file that only another system builds", "core/a_windows.go", `package core; import _ "syscall"`, "import of syscall"},
		{"a sub-package of a pure adapter", "storage/memstore/a.go", `package memstore; import _ "os"`, "storage/memstore is pure: import of os"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := plan.check(fstest.MapFS{tt.file: {Data: []byte(tt.source)}})
			require.NoError(t, err)
			require.Len(t, got, 1, "one fault, one report: %q", got)
			require.Contains(t, got[0], tt.want)
		})
	}
}

// TestArchitectureAllows lists what looks forbidden and is not.
func TestArchitectureAllows(t *testing.T) {
	plan, err := parsePlan(floors, thirdParty, testOnly)
	require.NoError(t, err)
	const module = `"github.com/kindredkv/kindred/`
	tests := []struct{ name, file, source string }{
		{"a lower floor", "core/a.go", `package core; import _ ` + module + `replica"`},
		{"the root", "core/a.go", `package core; import _ "github.com/kindredkv/kindred"`},
		{"the own seam", "storage/memstore/a.go", `package memstore; import _ ` + module + `storage"`},
		{"one family", "cmd/kvcli/a.go", `package main; import _ ` + module + `cmd/kvcli/table"`},
		{"a package within a listed module", "storage/pebblestore/a.go", `package p; import _ "github.com/cockroachdb/pebble/v2/vfs"`},
		{"goroutines outside the pure packages", "node/a.go", `package node; import "time"; func f() { go time.Sleep(1) }`},
		{"goroutines in tests of pure packages", "core/a_test.go", `package core; import _ "os"; func f() { go f() }`},
		{"an upper floor in a test", "ring/a_test.go", `package ring_test; import _ ` + module + `client"`},
		{"a seeded source", "sim/a.go", `package sim; import "math/rand/v2"; var r = rand.New(rand.NewPCG(1, 2)).IntN(6)`},
		{"a type of a seeded source", "sim/a.go", `package sim; import "math/rand/v2"; func f(r *rand.Rand) int { return r.IntN(6) }`},
		{"time as a value", "core/a.go", `package core; import "time"; func f(now time.Time, d time.Duration) { now.Add(d).After(now) }`},
		{"a variable that is called time", "core/a.go", `package core; type c struct{ Now int }; func f(time c) int { return time.Now }`},
		{"a mutex", "core/a.go", `package core; import "sync"; var mu sync.Mutex`},
		{"a negation and an arrow in a string", "core/a.go", `package core; var x = -1; const s = "<-c"`},
		{"an example in testdata", "core/testdata/a.go", `package broken; import _ "os"`},
		{"a nested module's own affairs", "tools/go.mod", `module tools`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := plan.check(fstest.MapFS{tt.file: {Data: []byte(tt.source)}})
			require.NoError(t, err)
			require.Empty(t, got)
		})
	}
}

// TestPlanIsWellFormed: a plan with a slip of the pen must not pass for a plan.
func TestPlanIsWellFormed(t *testing.T) {
	for _, tt := range []struct{ name, floors, third, want string }{
		{"row before its floor", "core pure", "", "before any floor"},
		{"row twice", "floor 0\nring pure a\nring pure b", "", "ring is listed twice"},
		{"seam on another floor", "floor 0\nring a\nfloor 1\nwire seam=ring b", "", "seam ring is not on its floor"},
		{"no reason", "floor 0\nring pure", "", "gives no reason"},
		{"third party for nobody known", "floor 0\nring pure a", "example.com/x  rung  why", "rung is not in the table"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parsePlan(tt.floors, tt.third, "")
			require.ErrorContains(t, err, tt.want)
		})
	}
	t.Run("a file that does not parse is an error, not a pass", func(t *testing.T) {
		plan, err := parsePlan(floors, thirdParty, testOnly)
		require.NoError(t, err)
		_, err = plan.check(fstest.MapFS{"core/a.go": {Data: []byte("package core; func {")}})
		require.Error(t, err)
		require.True(t, strings.Contains(err.Error(), "core/a.go"), err)
	})
}
