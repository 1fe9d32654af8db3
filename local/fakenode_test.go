package local_test

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
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
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
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
