package node

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a start that fails for its addresses has begun would stay in every clock, so
// it begins nothing: the next start is the first.
func TestABusyPortCostsNoIncarnation(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := config(t, "n1")
	for _, set := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		was := *set
		*set = l.Addr().String()
		_, err := Start(context.Background(), cfg)
		require.ErrorContains(t, err, "cannot listen on "+l.Addr().String())
		require.ErrorContains(t, err, "address already in use: another process uses the port, which `ss -ltnp` names: end it, or use another port")
		*set = was
	}
	n := start(t, cfg)
	require.EqualValues(t, 1, n.self.Start)
	require.NoError(t, n.Stop(context.Background()))
}

func TestAddressesThatCannotBeAreExplained(t *testing.T) {
	for _, c := range []struct {
		want string
		set  func(*Config)
	}{
		{`--client-addr: "127.0.0.1:70000" has no port from 1 to 65535, nor 0 for any that is free: use one, such as 127.0.0.1:7400`, func(c *Config) { c.ClientAddr = "127.0.0.1:70000" }},
		{`--peer-addr: "127.0.0.1:abc" has no port from 1 to 65535, nor 0 for any that is free: use one, such as 127.0.0.1:7401`, func(c *Config) { c.PeerAddr = "127.0.0.1:abc" }},
		{`--gossip-addr: "7402" is not host:port, such as 127.0.0.1:7402`, func(c *Config) { c.GossipAddr = "7402" }},
		{`--http-addr: 127.0.0.1:7400 is the --client-addr too: give each a port of its own`, func(c *Config) { c.ClientAddr, c.HTTPAddr = "127.0.0.1:7400", "127.0.0.1:7400" }},
		{`--join: "n2:99999" is not host:port of a gossip address, such as 10.0.0.2:7402`, func(c *Config) { c.Join = []string{"n2:99999"} }},
		{`--advertise: "db1:7400" has a port: give the host alone, db1; the ports are those of the addresses listened on`, func(c *Config) { c.Advertise = "db1:7400" }},
	} {
		cfg := config(t, "n1")
		c.set(&cfg)
		require.EqualError(t, cfg.Validate(), c.want)
	}
}

func TestAFolderThatCannotBeMadeIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	cfg := config(t, "n1")
	cfg.DataDir = filepath.Join(file, "data")
	_, err := Start(context.Background(), cfg)
	require.EqualError(t, err, "--data-dir: storage: find the folder "+cfg.DataDir+": not a directory: name a folder that this user may make and write to")
}
