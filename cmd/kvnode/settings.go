package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kindredkv/kindred/cmd/flagwords"
	"github.com/kindredkv/kindred/node"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport/faults"
)

// settings is what the user chose.
type settings struct {
	node    node.Config
	config  string
	version bool
	// logFormat is text or json.
	logFormat string
	logLevel  slog.Level
	// pprofAddr serves profiles; empty serves none.
	pprofAddr string
	// unknownEnv are variables named like settings that are none.
	unknownEnv []string
	flags      *pflag.FlagSet
	// source says where a setting was made; what is not in it has its default.
	source map[string]string
	// inFile is the number of settings that the file makes.
	inFile int
}

const envPrefix = "KINDRED_"

// envOfOthers are variables with our prefix that other programs read.
var envOfOthers = map[string]bool{"KINDRED_CLUSTER": true, "KINDRED_TOKEN_FILE": true}

// onlyFlags are settings that make no sense in a file or in the environment.
var onlyFlags = map[string]bool{"config": true, "version": true, "help": true, outputFlag: true}

// load reads the settings of all sources and checks them.
func load(args, env []string) (*settings, error) {
	s := newSettings()
	if err := s.read(args, env); err != nil || s.version {
		return s, err
	}
	if s.flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: all settings are flags", s.flags.Arg(0))
	}
	return s, s.check()
}

// newSettings has the defaults.
func newSettings() *settings {
	s := &settings{node: node.DefaultConfig(), logFormat: "text", source: map[string]string{}}
	s.node.Version = version()
	s.flags = s.flagSet()
	return s
}

// read goes through the sources: defaults, file, environment, flags, each over the
// one before.
func (s *settings) read(args, env []string) error {
	if err := s.flags.Parse(args); err != nil {
		return flagwords.Explain(err, s.names())
	}
	s.flags.Visit(func(f *pflag.Flag) { s.source[f.Name] = "flag" })
	if err := s.fromEnv(env); err != nil {
		return err
	}
	if s.config == "" {
		return nil
	}
	return s.fromFile(s.config)
}

// check reports each setting that cannot be, and where it was made.
func (s *settings) check() error {
	return s.located(errors.Join(s.node.Validate(), checkProfiles(s.pprofAddr, s.node)))
}

// located adds to each complaint the place of a setting that no flag shows.
func (s *settings) located(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, err := range many.Unwrap() {
			all = append(all, s.located(err))
		}
		return errors.Join(all...)
	}
	var name string
	var bad *node.ConfigError
	var file *security.FileError
	switch {
	case errors.As(err, &bad):
		name = bad.Setting
	case errors.As(err, &file):
		name = file.Setting
	}
	if from := s.source[name]; from != "" && from != "flag" {
		return fmt.Errorf("%s: %w", from, err)
	}
	return err
}

// flagSet is the list of all settings; file and environment use the same names.
func (s *settings) flagSet() *pflag.FlagSet {
	f, c := pflag.NewFlagSet("kvnode", pflag.ContinueOnError), &s.node
	f.Usage = func() {}
	f.SortFlags = false
	f.StringVar(&c.Name, "name", c.Name, "name of the node; layouts use it, so it stays for life")
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder of the node's data; one process at a time")
	f.StringVar(&c.Zone, "zone", c.Zone, "failure domain; replicas of a key go to different zones")
	f.Uint32Var(&c.Capacity, "capacity", c.Capacity, "weight: a node of 200 gets twice the data of one of 100")
	f.IntVar(&c.Expect, "expect", c.Expect, "make the first layout when so many nodes see one another")
	f.StringSliceVar(&c.Join, "join", c.Join, "gossip addresses of other nodes, separated by commas")
	f.StringVar(&c.ClientAddr, "client-addr", c.ClientAddr, "address for clients (gRPC)")
	f.StringVar(&c.PeerAddr, "peer-addr", c.PeerAddr, "address for other nodes")
	f.StringVar(&c.GossipAddr, "gossip-addr", c.GossipAddr, "address for gossip (TCP and UDP)")
	f.StringVar(&c.HTTPAddr, "http-addr", c.HTTPAddr, "address for HTTP: data, health, metrics")
	f.StringVar(&c.Advertise, "advertise", c.Advertise, "host that others reach this node by, if it listens on all")
	f.StringVar(&c.Security.Cert, "tls-cert", "", "file of this node's certificate; with TLS, callers need one too, or a token")
	f.StringVar(&c.Security.Key, "tls-key", "", "file of its private key")
	f.StringVar(&c.Security.CA, "tls-ca", "", "file of the authorities that sign nodes and clients")
	f.StringVar(&c.Security.Tokens, "tokens", "", "file of clients' tokens: lines of a name and a SHA-256")
	f.StringVar(&c.Security.GossipKeys, "gossip-key", "", "file of gossip keys in base64: the first encrypts, all decrypt")
	f.BoolVar(&c.Insecure, "insecure", c.Insecure, "listen beyond loopback in plain text; anyone may read and write")
	f.BoolVar(&c.GRPCOnly, "grpc-only", c.GRPCOnly, "take no native links: Go clients use gRPC too")
	f.BoolVar(&c.FaultInjection, "fault-injection", c.FaultInjection, "accept orders to cut and slow links, for tests")
	f.Var((*faultPlan)(&c.Faults), "faults", "faults from the start, as JSON of /v1/local/faults")
	f.StringVar(&c.Record, "record", "", "folder for recordings of what the shards are given, with keys and values; none if empty")
	f.Int64Var(&c.RecordBytes, "record-bytes", c.RecordBytes, "bytes that the recordings may take; the oldest files go first")
	f.BoolVar(&c.Production, "production", c.Production, "refuse settings that only tests should have")
	f.IntVar(&c.Partitions, "partitions", c.Partitions, "partitions of the first layout, a power of two")
	f.IntVar(&c.Replicas, "replicas", c.Replicas, "replicas of a key in the first layout")
	f.IntVar(&c.Shards, "shards", c.Shards, "goroutines that serve partitions; one per core")
	f.Int64Var(&c.Limits.HintBytes, "hint-bytes", c.Limits.HintBytes, "bytes of hints that each shard keeps for nodes that cannot be reached")
	f.Int64Var(&c.TransferBytes, "transfer-bytes", c.TransferBytes, "bytes a second sent to nodes that take over partitions, are rebuilt or lack something; 0 for no bound")
	f.IntVar(&c.TransferSlowdown, "transfer-slowdown", c.TransferSlowdown, "percent of their usual wait (p99) beyond which clients make the node send others less; 0 for never")
	f.StringVar(&s.config, "config", "", "file of settings, as lines of 'name = value' (TOML)")
	f.Var((*logFormat)(&s.logFormat), "log-format", "text or json")
	f.Var((*logLevel)(&s.logLevel), "log-level", "debug, info, warn or error")
	f.StringVar(&s.pprofAddr, "pprof-addr", "", "loopback address for Go profiles under /debug/pprof/; none if empty")
	f.BoolVar(&s.version, "version", false, "print the version and exit")
	return f
}

// set gives one setting a value from the file or the environment.
func (s *settings) set(name, value string) error {
	f := s.flags.Lookup(name)
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.Replace(split(value))
	}
	if err := f.Value.Set(value); err != nil {
		return fmt.Errorf("%q: %s", value, flagwords.Takes(f.Value.Type(), value, err))
	}
	return nil
}

func split(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// fromEnv applies KINDRED_NAME and its like where no flag was given.
func (s *settings) fromEnv(env []string) error {
	for _, kv := range env {
		variable, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(variable, envPrefix) || envOfOthers[variable] {
			continue
		}
		name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, envPrefix)), "_", "-")
		if s.flags.Lookup(name) == nil || onlyFlags[name] {
			s.unknownEnv = append(s.unknownEnv, variable+flagwords.Suggestion(name, s.names(), envName))
			continue
		}
		if s.source[name] != "" {
			continue
		}
		if err := s.set(name, value); err != nil {
			return fmt.Errorf("environment variable %s: %w", variable, err)
		}
		s.source[name] = "environment variable " + variable
	}
	return nil
}

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// names are the settings that file and environment may hold.
func (s *settings) names() []string {
	var out []string
	s.flags.VisitAll(func(f *pflag.Flag) {
		if !onlyFlags[f.Name] {
			out = append(out, f.Name)
		}
	})
	return out
}

func (s *settings) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.logLevel}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

type faultPlan faults.Plan

func (p *faultPlan) Type() string { return "JSON" }
func (p *faultPlan) String() string {
	if faults.Plan(*p).IsZero() {
		return "" // pflag shows no empty default
	}
	return faults.Plan(*p).String()
}

func (p *faultPlan) Set(s string) error {
	return json.Unmarshal([]byte(s), (*faults.Plan)(p))
}

type logFormat string

func (l *logFormat) String() string { return string(*l) }
func (l *logFormat) Type() string   { return "word" }
func (l *logFormat) Set(s string) error {
	if s != "text" && s != "json" {
		return errors.New("use text or json")
	}
	*l = logFormat(s)
	return nil
}

type logLevel slog.Level

func (l *logLevel) String() string { return strings.ToLower(slog.Level(*l).String()) }
func (l *logLevel) Type() string   { return "word" }
func (l *logLevel) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("use debug, info, warn or error")
	}
	return nil
}

func usage(f *pflag.FlagSet) string {
	return `kvnode runs one node of a Kindred cluster.

Usage:
  kvnode --name NAME --data-dir FOLDER [settings]
  kvnode config print [settings] [-o json]   what every setting is, and who set it
  kvnode config check FILE [settings]        whether a node could start with it

Example, a cluster of one node on this machine:
  kvnode --name n1 --data-dir /tmp/n1 --expect 1

Three nodes on three machines, here the first of them:
  kvnode --name a --zone z1 --data-dir /var/lib/kindred --expect 3 \
    --join a:7402,b:7402,c:7402 --advertise a \
    --tls-cert a.pem --tls-key a.key --tls-ca ca.pem --gossip-key gossip.keys \
    --client-addr :7400 --peer-addr :7401 --gossip-addr :7402 --http-addr :7403

Settings come from the file of --config, from the environment (KINDRED_DATA_DIR
for --data-dir), and from flags; the later wins. In a file, names are those of
the flags:
  name = "n1"
  data-dir = "/var/lib/kindred"
  join = ["a:7402", "b:7402"]

Settings:
` + f.FlagUsages()
}

// readConfig is a file small enough for a person to have written.
func readConfig(path string) ([]byte, error) {
	const configBytesMax = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, configBytesMax+1))
	if err == nil && len(b) > configBytesMax {
		err = fmt.Errorf("%s is larger than %d bytes: is it a file of settings?", path, configBytesMax)
	}
	return b, err
}
