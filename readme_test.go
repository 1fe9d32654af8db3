package kindred_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var updateFlag = flag.Bool("update", false, "write what the commands of the pages print into them; uses the ports from 7400 on")

// pagesPort is the first port that the pages show.
const pagesPort = 7400

// portsMax is the number of ports of the largest cluster of a page, four nodes.
const portsMax = 40

// walkedPages are the pages whose console blocks are carried out. A page with a Go
// program has one that is run as "go run".
var walkedPages = []struct {
	path     string
	commands int // the least that it has
	program  bool
}{
	{"README.md", 10, true},
	{"docs/cli.md", 20, false},
	{"docs/configuration.md", 4, false},
	{"docs/operating.md", 30, false},
	{"docs/http.md", 20, false},
	{"docs/go.md", 3, true},
	{"docs/grpc.md", 3, true},
	{"docs/security.md", 10, false},
}

// TestReadmeWalk carries out the console blocks of the pages against real
// processes, and the Go program with them; each page has a cluster of its own. What
// is printed must be what the page shows, but for numbers, names made of random
// digits, and the order of lines. A line of the page that ends in "…" stands for
// all that begin so.
func TestReadmeWalk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("clusters of real processes need Linux")
	}
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin+"/", "./cmd/...").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, page := range walkedPages {
		t.Run(page.path, func(t *testing.T) {
			w := newWalk(t, page.path, bin)
			w.follow()
			require.Equal(t, page.program, w.program != "", "a Go program on the page")
			require.GreaterOrEqual(t, w.commands, page.commands, "few commands on the page: was the form of the blocks changed?")
		})
	}
}

// follow goes through the blocks of the page.
func (w *walk) follow() {
	text, err := os.ReadFile(w.page)
	require.NoError(w.t, err)
	if _, err := exec.LookPath("curl"); err != nil && strings.Contains(string(text), "\n$ curl ") {
		w.t.Fatalf("%s is tried with curl, which is not on PATH. Install it (Debian: apt install curl; macOS has it)", w.page)
	}
	page := regexp.MustCompile("(?ms)^```(go|console)\n(.*?)^```").ReplaceAllStringFunc(string(text), func(block string) string {
		lang, body, _ := strings.Cut(strings.Trim(block, "`"), "\n")
		if lang == "go" {
			w.program = body
			return block
		}
		return "```console\n" + w.replay(body) + "```"
	})
	if *updateFlag {
		require.NoError(w.t, os.WriteFile(w.page, []byte(page), 0o600))
	}
}

// walk is one reader who follows the page.
type walk struct {
	t        *testing.T
	page     string
	root     string
	dir      string
	port     int
	program  string
	commands int
}

func newWalk(t *testing.T, page, bin string) *walk {
	root, err := os.Getwd()
	require.NoError(t, err)
	w := &walk{t: t, page: page, root: root, dir: t.TempDir(), port: freePorts(t)}
	require.NoError(t, os.Symlink(bin, filepath.Join(w.dir, "bin")))
	t.Cleanup(func() { w.run("./bin/kvcli local stop") })
	return w
}

// freePorts finds ports for four nodes that nobody listens on. With -update it
// wants those of the page.
func freePorts(t *testing.T) int {
	for range 100 {
		port := 31000 + portsMax*rand.IntN(40)
		if *updateFlag {
			port = pagesPort
		}
		if free(port) {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

func free(port int) bool {
	for i := range portsMax {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// replay runs the commands of a block and compares what they print. What only
// reads is tried again for a while, as a reader would: repair follows the
// answer that it belongs to.
func (w *walk) replay(block string) string {
	w.t.Helper()
	var page strings.Builder
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		command, want, _ := strings.Cut(part, "\n")
		w.commands++
		got := w.run(command)
		for began := time.Now(); time.Since(began) < readsMax; {
			if *updateFlag || same(want, got) || !onlyReads.MatchString(command) {
				break
			}
			time.Sleep(100 * time.Millisecond)
			got = w.run(command)
		}
		if !*updateFlag && !same(want, got) {
			w.t.Fatalf("$ %s\n%s shows\n%s\nand this is\n%s\nIf that is right, run: go test -run TestReadmeWalk -update .", command, w.page, want, got)
		}
		fmt.Fprintf(&page, "$ %s\n%s", command, kept(want, got))
	}
	return page.String()
}

// readsMax is how long an answer may take to be that of the page.
const readsMax = 30 * time.Second

// onlyReads are the commands that may be repeated.
var onlyReads = regexp.MustCompile(`kvcli (get|scan|key|cluster|local status|local logs|hints)|curl -si? '?http`)

// run carries out one command line and returns what it prints on both outputs,
// with the ports of the page.
func (w *walk) run(command string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	line := w.withPorts(command, pagesPort, w.port)
	if strings.Contains(line, "local start") && w.port != pagesPort {
		line += fmt.Sprintf(" --base-port %d", w.port)
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir = w.dir
	if file, ok := strings.CutPrefix(command, "go run "); ok {
		file = filepath.Join(w.dir, file)
		require.NoError(w.t, os.WriteFile(file, []byte(w.withPorts(w.program, pagesPort, w.port)), 0o600))
		cmd = exec.CommandContext(ctx, "go", "run", file)
		cmd.Dir = w.root
	}
	out, err := cmd.CombinedOutput()
	text := strings.NewReplacer(w.dir, "~/kindred", "\r\n", "\n").Replace(string(out)) // a page has no CR
	printed := w.withPorts(text, w.port, pagesPort)
	if printed != "" && !strings.HasSuffix(printed, "\n") {
		printed += "\n"
	}
	if err != nil {
		printed += fmt.Sprintf("(exit code %d)\n", cmd.ProcessState.ExitCode())
	}
	return printed
}

// withPorts moves the ports of the cluster from one place to another.
func (w *walk) withPorts(s string, from, to int) string {
	for i := range portsMax {
		s = regexp.MustCompile(fmt.Sprintf(`:%d\b`, from+i)).ReplaceAllString(s, fmt.Sprintf(":%d", to+i))
	}
	return s
}

// same compares what the page shows with what was printed, line by line but in
// any order.
func same(want, got string) bool {
	wanted, found := masked(want), masked(kept(want, got))
	slices.Sort(wanted)
	slices.Sort(found)
	return slices.Equal(wanted, found)
}

// kept is what was printed, with the shortened lines of the page in place of
// those that they stand for.
func kept(want, got string) string {
	lines := strings.SplitAfter(got, "\n")
	for _, short := range strings.SplitAfter(want, "\n") {
		prefix, cut := strings.CutSuffix(strings.TrimSuffix(short, "\n"), "…")
		for i, line := range lines {
			if cut && strings.HasPrefix(line, prefix) {
				lines[i] = prefix + "…\n" // also at the end of a block, which has no line feed
			}
		}
	}
	return strings.Join(lines, "")
}

// masked makes lines comparable: what differs from run to run is replaced.
func masked(s string) []string {
	s = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(s, "{}")
	s = regexp.MustCompile(`\b[0-9.]+(ns|µs|ms|s)\b`).ReplaceAllString(s, "T")
	s = regexp.MustCompile(`[0-9a-f]{16,}|[A-Za-z0-9_-]{40,}`).ReplaceAllString(s, "X")
	s = regexp.MustCompile(`[0-9]+(,[0-9]{3})*`).ReplaceAllString(s, "N")
	s = regexp.MustCompile(`[ -]+`).ReplaceAllString(s, " ")
	return strings.Split(strings.TrimSpace(s), "\n")
}

// TestReadmeDemo: the steps that the page shows are those of the demo.
func TestReadmeDemo(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("cmd/kvcli/demo/demo.go")
	require.NoError(t, err)
	steps := regexp.MustCompile(`(?m)^[0-9]+\. (.*)$`).FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, steps)
	for _, step := range steps {
		require.Contains(t, string(source), step[1])
	}
}

// TestReadmeFlags: every flag of the shell blocks exists.
func TestReadmeFlags(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	checked := 0
	for _, block := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		command := strings.Fields(block[1])[0]
		help, err := exec.Command("go", "run", "./cmd/"+command, "--help").CombinedOutput()
		require.NoError(t, err, "%s", help)
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(block[1], -1) {
			checked++
			require.Regexp(t, regexp.QuoteMeta(flag)+`\b`, string(help))
		}
	}
	require.Positive(t, checked, "no flags on the page: was the form of the blocks changed?")
}

// TestLinks: every relative link of every page leads to a file, and to a
// heading if it names one.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	require.NoError(t, err)
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md", "*/README.md"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, more...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(text), -1) {
			target, heading, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := filepath.Join(filepath.Dir(page), target)
			if target == "" {
				file = page
			}
			_, err := os.Stat(file)
			require.NoError(t, err, "%s links to %s", page, link[1])
			if heading != "" {
				require.Contains(t, headings(t, file), heading, "%s links to %s", page, link[1])
			}
		}
	}
}

// headings are the anchors of a page.
func headings(t *testing.T, page string) []string {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var anchors []string
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(h[1]), "")
		anchors = append(anchors, strings.ReplaceAll(anchor, " ", "-"))
	}
	return anchors
}
