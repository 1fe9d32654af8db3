package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kvnode.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLaterSourcesWin(t *testing.T) {
	path := write(t, `
# all three sources name a zone
name = "from-file"
zone = "file"
data-dir = "/from/file"
capacity = 300
join = ["a:7402", "b:7402"]
production = true
log-format = "json"
`)
	s, err := load(
		[]string{"--config", path, "--zone", "flag", "--log-level", "warn"},
		[]string{"KINDRED_ZONE=env", "KINDRED_DATA_DIR=/from/env", "KINDRED_JOIN=c:7402, d:7402", "HOME=/root", "KINDRED_CLUSTER=x:1"})
	require.NoError(t, err)
	require.Equal(t, "from-file", s.node.Name)
	require.Equal(t, "flag", s.node.Zone)
	require.Equal(t, "/from/env", s.node.DataDir)
	require.Equal(t, []string{"c:7402", "d:7402"}, s.node.Join)
	require.EqualValues(t, 300, s.node.Capacity)
	require.True(t, s.node.Production)
	require.Equal(t, "json", s.logFormat)
	require.Equal(t, slog.LevelWarn, s.logLevel)
	require.Empty(t, s.unknownEnv, "KINDRED_CLUSTER is kvcli's")
	require.Equal(t, "127.0.0.1:7400", s.node.ClientAddr, "what nobody names has its default")
}

// Whatever cannot be is refused by name, with its place and the fix.
func TestSettingsThatCannotBe(t *testing.T) {
	base := []string{"--name", "n1", "--data-dir", "x"}
	for _, c := range []struct {
		name string
		args []string
		env  []string
		file string
		want string
	}{
		{name: "unknown flag", args: []string{"--nmae", "n1"}, want: "did you mean --name?"},
		{name: "nothing near", args: []string{"--quux"}, want: "unknown flag: --quux"},
		{name: "half a pair", args: []string{"--tls-cert", "x", "--tls-ca", "y"}, want: "--tls-key \"\": --tls-cert, --tls-key and --tls-ca are given together"},
		{name: "tokens in plain text", args: []string{"--tokens", "x"}, want: "--tokens x: needs --tls-cert, --tls-key and --tls-ca"},
		{name: "insecure in production", args: []string{"--insecure", "--production"}, want: "--insecure: is refused together with --production"},
		{name: "TLS without a gossip key", args: []string{"--tls-cert", "x", "--tls-key", "x", "--tls-ca", "x", "--gossip-addr", ":7402"}, want: "--gossip-addr: :7402 is reachable from other machines and this node has no gossip key: give it a --gossip-key"},
		{name: "a gossip key without TLS", args: []string{"--gossip-key", "x", "--peer-addr", ":7401"}, want: "--peer-addr: :7401 is reachable from other machines and this node has no TLS: give it certificates"},
		{name: "faults without the switch", args: []string{"--faults", `{"delay":"1s"}`}, want: "--faults: needs --fault-injection"},
		{name: "faults in production", args: []string{"--fault-injection", "--production"}, want: "--fault-injection: is refused together with --production"},
		{name: "no plan of faults", args: []string{"--fault-injection", "--faults", `{"dely":"1s"}`}, want: `unknown field "dely"`},
		{name: "an argument", args: []string{"start"}, want: `unexpected argument "start"`},
		{name: "no number", args: []string{"--expect", "three"}, want: "--expect three: use a whole number"},
		{name: "no level", args: []string{"--log-level", "loud"}, want: "debug, info, warn or error"},
		{name: "no format", args: []string{"--log-format", "xml"}, want: "text or json"},
		{name: "beyond loopback", args: []string{"--http-addr", ":7403"}, want: "--http-addr: :7403 is reachable from other machines"},
		{name: "no name", args: []string{"--name", ""}, want: "--name: the node needs a name"},
		{name: "no file", args: []string{"--config", "/no/such/file"}, want: "/no/such/file"},
		{name: "bad variable", env: []string{"KINDRED_EXPECT=three"}, want: `KINDRED_EXPECT: "three": use a whole number`},
		{name: "unknown key", file: "zone = 'a'\n\nexpct = 3\n", want: `line 3: unknown setting "expct"; did you mean expect?`},
		{name: "key of the environment", file: "data_dir = 'a'\n", want: `line 1: unknown setting "data_dir"; did you mean data-dir?`},
		{name: "a file in a file", file: "config = 'b'\n", want: `line 1: unknown setting "config"`},
		{name: "a table", file: "zone = 'a'\n[listen]\nclient = ':1'\n", want: `line 2: unknown setting "listen"`},
		{name: "a known name as a table", file: "[zone]\nx = 1\n", want: "line 1: zone is a table"},
		{name: "wrong kind", file: "expect = 'three'\n", want: `line 1: expect: "three": use a whole number`},
		{name: "a fraction", file: "expect = 2.5\n", want: "line 1: expect has the value 2.5"},
		{name: "a list of numbers", file: "join = [7402]\n", want: "line 1: join holds 7402 in its list"},
		{name: "no TOML", file: "zone = 'a'\nname: n1\n", want: "line 2"},
		{name: "twice", file: "zone = 'a'\nzone = 'b'\n", want: "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append(base[:len(base):len(base)], c.args...)
			if c.file != "" {
				args = append(args, "--config", write(t, c.file))
			}
			_, err := load(args, c.env)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestUnknownVariablesAreNamed(t *testing.T) {
	s, err := load([]string{"--name", "n1", "--data-dir", "x"}, []string{"KINDRED_ZONES=a", "KINDRED_CONFIG=x"})
	require.NoError(t, err)
	require.Equal(t, []string{"KINDRED_ZONES; did you mean KINDRED_ZONE?", "KINDRED_CONFIG"}, s.unknownEnv)
}

func TestInsecureIsAChoice(t *testing.T) {
	args := []string{"--name", "n1", "--data-dir", "x", "--client-addr", "0.0.0.0:7400"}
	_, err := load(args, nil)
	require.ErrorContains(t, err, "--insecure")
	_, err = load(append(args, "--insecure"), nil)
	require.NoError(t, err)
}
