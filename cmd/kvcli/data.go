package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// keyFlags are those of every command on one key.
type keyFlags struct {
	base64 bool
}

func (k *keyFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&k.base64, "key-base64", false, "the key is given in base64, for keys that are not text")
}

// parse reads the arguments BUCKET KEY.
func (k *keyFlags) parse(c *cobra.Command, args []string) (bucket, key string, err error) {
	bucket, key = args[0], args[1]
	if k.base64 {
		b, err := base64.StdEncoding.DecodeString(key)
		if err != nil {
			return "", "", usageError{c, fmt.Errorf("--key-base64: %q is not base64: %w", key, err)}
		}
		key = string(b)
	}
	if bad := kindred.CheckName(bucket, key); bad != nil {
		return "", "", bad
	}
	return bucket, key, nil
}

// readFlags choose the quorum of a read.
type readFlags struct {
	r, pr  string
	quorum quorumFlag
}

// quorumFlag chooses whether guests count. The bucket decides if the flag is not
// given.
type quorumFlag struct {
	sloppy bool
	given  func() bool
}

func (f *quorumFlag) register(c *cobra.Command) {
	c.Flags().BoolVar(&f.sloppy, "sloppy", false, "let guests count, which stand in for home replicas that cannot be reached; --sloppy=false for a strict quorum (default: as the bucket says)")
	f.given = func() bool { return c.Flags().Changed("sloppy") }
}

func (f *quorumFlag) options() []client.CallOption {
	switch {
	case !f.given():
		return nil
	case f.sloppy:
		return []client.CallOption{client.Sloppy()}
	default:
		return []client.CallOption{client.Strict()}
	}
}

func (f *readFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.r, "r", "", "replicas that must answer a read: a number, one, quorum or all")
	c.Flags().StringVar(&f.pr, "pr", "", "how many of those must be home replicas")
	f.quorum.register(c)
}

func (f *readFlags) options() ([]client.CallOption, error) {
	out, err := countOptions(
		countFlag{"r", f.r, client.R}, countFlag{"pr", f.pr, client.PR})
	return append(out, f.quorum.options()...), err
}

type countFlag struct {
	name, text string
	option     func(kindred.Count) client.CallOption
}

func countOptions(flags ...countFlag) ([]client.CallOption, error) {
	var out []client.CallOption
	for _, f := range flags {
		n, err := kindred.ParseCount(f.text)
		if err != nil {
			return nil, kindred.Invalid(f.name, "--%s: %v", f.name, err)
		}
		if n != kindred.CountDefault {
			out = append(out, f.option(n))
		}
	}
	return out, nil
}

// writeFlags choose what a write means.
type writeFlags struct {
	context, requestID, w, pw, durability, wait string
	quorum                                      quorumFlag
}

func (f *writeFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.context, "context", "", "supersede exactly what an earlier read saw: its context")
	c.Flags().StringVar(&f.requestID, "request-id", "", "repeat the write of this id, which is then not done twice")
	c.Flags().StringVar(&f.wait, "wait", "", "stage to wait for, as long as --timeout: propagated, settled or audited (accepted and replicated have come when a write is acknowledged)")
	f.registerHolding(c)
}

// registerHolding registers the flags that many writes can share: who must hold
// them, and what that means.
func (f *writeFlags) registerHolding(c *cobra.Command) {
	c.Flags().StringVar(&f.w, "w", "", "replicas that must hold the write: a number, one, quorum or all")
	c.Flags().StringVar(&f.pw, "pw", "", "how many of those must be home replicas")
	c.Flags().StringVar(&f.durability, "durability", "", "what holding means: memory, batch or sync")
	f.quorum.register(c)
}

// token is the context that --context gives, nil without it. An empty one is that of
// a read that saw no value, and not the same as none.
func (f *writeFlags) token(c *cobra.Command) *string {
	if !c.Flags().Changed("context") {
		return nil
	}
	return &f.context
}

// stage is what --wait names, StageNone if it is not given.
func (f *writeFlags) stage(c *cobra.Command) (kindred.Stage, error) {
	if f.wait == "" {
		return kindred.StageNone, nil
	}
	s, err := kindred.ParseStage(f.wait)
	if err != nil {
		return s, usageError{c, fmt.Errorf("--wait: %w", err)}
	}
	return s, nil
}

// options leaves the context out: see seen.
func (f *writeFlags) options() ([]client.CallOption, error) {
	out, err := countOptions(
		countFlag{"w", f.w, client.W}, countFlag{"pw", f.pw, client.PW})
	if err != nil {
		return nil, err
	}
	out = append(out, f.quorum.options()...)
	if f.durability != "" {
		d, err := kindred.ParseDurability(f.durability)
		if err != nil {
			return nil, kindred.Invalid("durability", "--durability: %v", err)
		}
		out = append(out, client.Durability(d))
	}
	if f.requestID != "" {
		id, err := kindred.ParseRequestID(f.requestID)
		if err != nil {
			return nil, kindred.Invalid("request_id", "--request-id: %v", err)
		}
		out = append(out, client.RequestID(id))
	}
	return out, nil
}

// value reads the value of a put: the argument, a file, or standard input. An
// empty standard input counts only if it was asked for: a script that forgot
// the value must not store nothing.
func (a *app) value(c *cobra.Command, args []string, file string) ([]byte, error) {
	const argument = 2
	named := len(args) > argument
	switch {
	case file != "" && named:
		return nil, usageError{c, errors.New("give the value or --file, not both")}
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readValue(f)
	case named && args[argument] != "-":
		return []byte(args[argument]), nil
	case named:
		return readValue(a.stdin(c.Context()))
	}
	missing := usageError{c, errors.New("no value: give one, or - to read it from standard input, or --file")}
	if term.IsTerminal(a.in) {
		return nil, missing
	}
	value, err := readValue(a.stdin(c.Context()))
	if err == nil && len(value) == 0 {
		return nil, missing
	}
	return value, err
}

// readValue stops a little beyond the limit; the check that names the limit
// comes later.
func readValue(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, kindred.ValueBytesMax+1))
}
