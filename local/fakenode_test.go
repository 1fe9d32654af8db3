package local_test

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
)

// fakeEnv makes the test binary behave as a kvnode: the tests of this package
// are about processes, not about what a node does.
const fakeEnv = "LOCAL_TEST_FAKE_NODE"

func TestMain(m *testing.M) {
	if os.Getenv(fakeEnv) != "" {
		os.Exit(fakeNode(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func fakeNode(args []string) int {
	fs := flag.NewFlagSet("fake", flag.ContinueOnError)
	flags := map[string]*string{}
	for _, name := range []string{"name", "zone", "data-dir", "expect", "join", "client-addr", "peer-addr", "gossip-addr", "http-addr"} {
		flags[name] = fs.String(name, "", "")
	}
	mode := fs.String("fake-mode", "", "")
	injects := fs.Bool("fault-injection", false, "")
	fs.Bool("insecure", false, "")
	plan := fs.String("faults", "{}", "")
	if err := fs.Parse(args); err != nil {
		return 1
	}
	if *mode == "die-"+*flags["name"] {
		fmt.Fprintln(os.Stderr, "cannot go on: the moon is wrong")
		return 1
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	l, err := net.Listen("tcp", *flags["http-addr"])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "%s up, KINDRED_NAME=%q\n", *flags["name"], os.Getenv("KINDRED_NAME"))
	faulty := &fakeFaults{on: *injects && *mode != "no-faults-"+*flags["name"], plan: *plan}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/local/faults" {
			faulty.ServeHTTP(w, r)
			return
		}
		if *mode == "unready" {
			http.Error(w, `{"ready":false,"reason":"waiting for the others"}`, http.StatusServiceUnavailable)
		}
	}))
	for range term {
		if *mode != "stubborn" {
			fmt.Fprintln(os.Stderr, "drained")
			return 0
		}
	}
	return 1
}

// fakeFaults takes every plan and shows it.
type fakeFaults struct {
	on   bool
	mu   sync.Mutex
	plan string
}

func (f *fakeFaults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.on {
		http.Error(w, "off", http.StatusForbidden)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Method == http.MethodPut {
		b, _ := io.ReadAll(r.Body)
		f.plan = string(b)
	}
	io.WriteString(w, f.plan)
}
