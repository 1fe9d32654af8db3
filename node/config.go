package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"unicode"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/pace"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/storage/pebblestore"
	"github.com/kindredkv/kindred/transport/faults"
)

// Config is everything a node can be told. Start from [DefaultConfig] and set Name
// and DataDir; what "default" says below is what it gives. A Config without it is
// refused, because most zero values are.
type Config struct {
	// Name is how layouts know this node: 1 to 63 bytes without spaces, commas and
	// slashes, unique in its cluster. No default. It stays with the data folder for
	// life: another name is refused.
	Name string
	// DataDir is the folder of its data, made if it is missing. No default. One
	// node at a time, of this process or of another: a second one is refused.
	DataDir string
	// Zone is its failure domain, 1 to 63 bytes; default "z1". Replicas go to
	// distinct zones where they can: more zones survive more kinds of trouble, and
	// writes cross between them.
	Zone string
	// Capacity is its weight; default 100. A node of 200 gets twice the partitions
	// of one of 100, and so twice the data and the load. Zero takes none: such a
	// node coordinates only.
	Capacity uint32
	// Expect is the number of nodes, 0 to 1000, that must see one another before
	// the first layout is made; the same on each of them. Default 0, which waits for
	// a layout from elsewhere. Too small a number makes a layout without the nodes
	// that come later, too large a one waits for ever.
	Expect int
	// Join lists gossip addresses of other nodes, host:port; default none, which
	// waits to be named by others. One of them must be up at the start; naming more
	// costs nothing.
	Join []string
	// Addresses to listen on, host:port: for clients by gRPC (default
	// 127.0.0.1:7400), for peers (7401), for gossip by TCP and UDP (7402), and for
	// HTTP (7403). Port 0 takes a free one, which [Node.ClientAddr],
	// [Node.GossipAddr] and [Node.HTTPAddr] tell; it is another one after each
	// start. Beyond loopback Security is needed.
	ClientAddr, PeerAddr, GossipAddr, HTTPAddr string
	// Advertise is the host that others reach this node at; default empty, which
	// means the host of each address above. It is needed with addresses such as
	// ":7400", and behind address translation.
	Advertise string
	// Security names the files that say who may come in; default none. Beyond
	// loopback certificates and a gossip key are needed. TLS costs CPU time per
	// connection and byte.
	Security security.Files
	// Insecure allows listening beyond loopback without them; default false. Then
	// whoever reaches the addresses may read, write and join.
	Insecure bool
	// GRPCOnly takes no native links from clients: they use gRPC then, which costs
	// more; default false.
	GRPCOnly bool
	// FaultInjection lets [Node.SetFaults], and whoever may call HTTP, cut and slow
	// this node's links; default false. Faults is what is wrong with them from the
	// start; default nothing.
	FaultInjection bool
	Faults         faults.Plan
	// Record is a folder for the recordings of what the shards are given; default
	// empty, which records nothing. They hold keys and values, and cost CPU time and
	// disk; with them, what a shard has done can be replayed.
	Record string
	// RecordBytes bounds what the recordings of this node take in that folder; default
	// [RecordBytesDefault]. The oldest files go first. A recording that has lost its
	// beginning can be looked at and no longer replayed: more keeps more of them whole.
	RecordBytes int64
	// TransferBytes bounds what this node sends in a second to others that take over
	// partitions, are rebuilt or lack something; default [TransferBytesDefault], 0 for no
	// bound. More ends a change of the layout sooner and leaves less of the network.
	TransferBytes int64
	// TransferSlowdown is, in percent of what is usual, how long clients of this node may
	// wait (the p99) before it sends others less; default [TransferSlowdownDefault], 0
	// gives way to nobody, also where this node takes over. More ends a change sooner and
	// is felt by clients.
	TransferSlowdown int
	// Production refuses Insecure and FaultInjection; default false.
	Production bool
	// Partitions and Replicas shape the first layout and are fixed with it.
	// Partitions is a power of two from 1 to 65536; default 256. More spread load
	// more evenly over many nodes and cost memory and start time on each; fewer than
	// 16 per node spread unevenly. Replicas is 1 to 16; default 3. More survive more
	// lost nodes, and every write costs more disk and network; one is no replica at
	// all: a lost disk is lost data.
	Partitions, Replicas int
	// Shards is the number of goroutines that serve partitions, 1 to 256; default
	// one per core, at most 16. More than there are cores is only overhead; fewer
	// leave cores to the rest of the program, and each costs memory of its own.
	Shards int
	// Limits bounds each shard; see its fields. Default [core.DefaultLimits], which
	// suits some 100 MiB of memory per shard.
	Limits core.Limits
	// Store tunes the storage engine; see its fields. Default its own defaults,
	// some 100 MiB of memory; Logger, OnCorruption and OnFatal are the node's.
	Store pebblestore.Options
	// Version is what the node says of its build; default "dev".
	Version string
	// Logger is where events go; default nil, which is silence: not slog's default
	// logger either. A node that logs nowhere still says by [Node.Err] why it ended.
	Logger *slog.Logger
}

// DefaultConfig is a node on loopback with the standard ports.
func DefaultConfig() Config {
	return Config{
		Zone: "z1", Capacity: 100,
		ClientAddr: "127.0.0.1:7400", PeerAddr: "127.0.0.1:7401",
		GossipAddr: "127.0.0.1:7402", HTTPAddr: "127.0.0.1:7403",
		Partitions: 256, Replicas: 3, Shards: defaultShards(),
		Limits: core.DefaultLimits(), RecordBytes: RecordBytesDefault,
		TransferBytes: TransferBytesDefault, TransferSlowdown: TransferSlowdownDefault, Version: "dev",
	}
}

// ConfigError is a setting that cannot be.
type ConfigError struct {
	Setting, Reason string
}

func (e *ConfigError) Error() string { return "--" + e.Setting + ": " + e.Reason }

// Validate reports each setting that cannot be, as a [ConfigError] or one of package
// security. It changes nothing.
func (c Config) Validate() error {
	var mistakes []error
	unless := func(ok bool, setting, reason string, args ...any) {
		if !ok {
			mistakes = append(mistakes, &ConfigError{setting, fmt.Sprintf(reason, args...)})
		}
	}
	unless(c.Name != "", "name", "the node needs a name, unique in its cluster: give it one, such as --name n1")
	unless(len(c.Name) <= 63 && !strings.ContainsFunc(c.Name, notInNames), "name", "%q: use at most 63 bytes without spaces, commas and slashes", c.Name)
	unless(c.DataDir != "", "data-dir", "the node needs a folder for its data: give it one of its own, such as --data-dir /var/lib/kindred")
	unless(c.Zone != "" && len(c.Zone) <= 63, "zone", "%q: a zone has 1 to 63 bytes", c.Zone)
	unless(c.Expect >= 0 && c.Expect <= 1000, "expect", "%d: use the number of nodes of the new cluster, 1 to 1000, or 0 to wait for a layout", c.Expect)
	unless(c.Partitions >= 1 && c.Partitions <= 65536 && c.Partitions&(c.Partitions-1) == 0, "partitions", "%d: use a power of two from 1 to 65536", c.Partitions)
	unless(c.Replicas >= 1 && c.Replicas <= 16, "replicas", "%d: use 1 to 16", c.Replicas)
	unless(c.Shards >= 1 && c.Shards <= 256, "shards", "%d: use 1 to 256, one per core", c.Shards)
	unless(c.Limits.HintBytes >= 0, "hint-bytes", "%d: use 0 at least; with 0 the node keeps nothing for others", c.Limits.HintBytes)
	unless(c.RecordBytes >= recordBytesMin, "record-bytes", "%d: use %d at least, 1 MiB", c.RecordBytes, recordBytesMin)
	unless(c.TransferBytes == 0 || c.TransferBytes >= transferFloor, "transfer-bytes", "%d: use %d at least (256 KiB a second), or 0 for no bound", c.TransferBytes, transferFloor)
	unless(c.TransferSlowdown == 0 || c.TransferSlowdown > 100, "transfer-slowdown", "%d: use more than 100 percent, or 0 to give way to nobody", c.TransferSlowdown)
	unless(!c.Production || !c.Insecure, "insecure", "is refused together with --production: give the node certificates (--tls-cert, --tls-key, --tls-ca) and a --gossip-key")
	unless(!c.Production || !c.FaultInjection, "fault-injection", "is refused together with --production: leave out one of them; a node that takes orders to cut its links is for tests")
	unless(c.FaultInjection || c.Faults.IsZero(), "faults", "needs --fault-injection: give that too, or leave this out")
	if err := c.Faults.Validate(); err != nil {
		mistakes = append(mistakes, &ConfigError{"faults", err.Error()})
	}
	return errors.Join(append(mistakes, c.Security.Validate(), c.checkAddrs(), c.checkOthers())...)
}

// paced is the configuration with limits that give way to nobody, if that is asked for.
func (c Config) paced() Config {
	if c.TransferSlowdown == 0 {
		unpaced := pace.Rate{ItemsPerSecond: 1 << 30, BytesPerSecond: 1 << 30, Busy: 1 << 30}
		c.Limits.RebuildPace, c.Limits.PullPace = unpaced, unpaced
	}
	return c
}

func notInNames(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == ',' || r == '/'
}

// advertised is the address that others use for one that this node bound.
func (c Config) advertised(bound string) string {
	if c.Advertise == "" {
		return bound
	}
	_, port, err := net.SplitHostPort(bound)
	if err != nil {
		return bound
	}
	return net.JoinHostPort(c.Advertise, port)
}
