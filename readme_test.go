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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var updateFlag = flag.Bool("update", false, "write what the commands of the pages print into them; uses the ports from 7400 on")

// pagesPort is the first port that the pages show.
const pagesPort = 7400

// portsMax is the number of ports of the largest cluster of a page, five nodes.
const portsMax = 50

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
	{"docs/buckets.md", 10, false},
	{"docs/bench.md", 5, false},
}

// TestReadmeWalk carries out the console blocks of the pages against real
// processes, and the Go program with them; each page has a cluster of its own. What
// is printed must be what the page shows, but for what differs from run to run (see
// varying and varyingFields). A line of the page that ends in "…" stands for all
// that begin so.
func TestReadmeWalk(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("clusters of real processes need Linux")
	}
	bin := programs(t)
	for _, page := range walkedPages {
		t.Run(page.path, func(t *testing.T) {
			w := newWalk(t, page.path, bin)
			w.follow()
			require.Equal(t, page.program, w.program != "", "a Go program on the page")
			require.GreaterOrEqual(t, w.commands, page.commands, "few commands on the page: was the form of the blocks changed?")
		})
	}
}

// build makes the programs once for all tests, in a folder that TestMain removes.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kindred-bin-")
	if err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/", "./cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

// built is the folder of the programs, once there is one.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// programs is the folder of kvnode and kvcli.
func programs(t *testing.T) string {
	dir, err := build()
	require.NoError(t, err)
	return dir
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
			if *updateFlag || same(command, want, got) || !onlyReads.MatchString(command) {
				break
			}
			time.Sleep(100 * time.Millisecond)
			got = w.run(command)
		}
		if !*updateFlag && !same(command, want, got) {
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
		s = regexp.MustCompile(fmt.Sprintf(`(:|\bport )%d\b`, from+i)).ReplaceAllString(s, fmt.Sprintf("${1}%d", to+i))
	}
	return s
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
