// Pgo reads a processor profile and writes it without the paths of the machine on which
// it was taken: kvnode is compiled by such a profile (cmd/kvnode/kvnode.pgo), for which
// the names of functions and the lines within them are enough.
//
//	go run ./bench/pgo < samples.pprof > kvnode.pgo
//
// make pgo takes the samples.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"

	"google.golang.org/protobuf/encoding/protowire"
)

// stringTable is the field of a profile that holds its strings
// (https://github.com/google/pprof/blob/main/proto/profile.proto).
const stringTable = 6

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pgo:", err)
		os.Exit(1)
	}
}

// run writes the profile of in to out.
func run(in io.Reader, out io.Writer) error {
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("no profile: %w", err)
	}
	profile, err := io.ReadAll(unzipped)
	if err != nil {
		return fmt.Errorf("the profile is cut short: %w", err)
	}
	bare, err := withoutPaths(profile)
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	if _, err := io.Copy(zipped, bytes.NewReader(bare)); err != nil {
		return err
	}
	return zipped.Close()
}

// withoutPaths leaves the last element of every absolute path.
func withoutPaths(profile []byte) (bare []byte, err error) {
	for len(profile) > 0 {
		number, kind, size := protowire.ConsumeField(profile)
		if size < 0 {
			return nil, fmt.Errorf("no profile: %w", protowire.ParseError(size))
		}
		field := profile[:size]
		profile = profile[size:]
		if number == stringTable && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(field)
			if text, _ := protowire.ConsumeString(field[tag:]); path.IsAbs(text) {
				field = protowire.AppendString(field[:tag:tag], path.Base(text))
			}
		}
		bare = append(bare, field...)
	}
	return bare, nil
}
