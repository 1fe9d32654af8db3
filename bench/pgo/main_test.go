package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"

	"github.com/stretchr/testify/require"
)

func unzip(t *testing.T, profile io.Reader) []byte {
	z, err := gzip.NewReader(profile)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return b
}

func TestAProfileLosesItsPathsAndNothingElse(t *testing.T) {
	var taken, bare, again bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&taken, 0))
	here, err := os.Getwd()
	require.NoError(t, err)
	before := unzip(t, bytes.NewReader(taken.Bytes()))
	require.Contains(t, string(before), filepath.Join(here, "main_test.go"), "else there is nothing to see")

	require.NoError(t, run(&taken, &bare))
	after := unzip(t, bytes.NewReader(bare.Bytes()))
	require.NotContains(t, string(after), here)
	require.Contains(t, string(after), "main_test.go")
	require.Contains(t, string(after), "bench/pgo.TestAProfileLosesItsPaths")
	require.NoError(t, run(bytes.NewReader(bare.Bytes()), &again))
	require.Equal(t, bare.Bytes(), again.Bytes())
}

func TestTheProfileOfTheNodeIsBare(t *testing.T) {
	f, err := os.Open("../../cmd/kvnode/kvnode.pgo")
	require.NoError(t, err)
	defer f.Close()
	profile := unzip(t, f)
	require.Contains(t, string(profile), "github.com/kindredkv/kindred/core.")
	bare, err := withoutPaths(profile)
	require.NoError(t, err)
	require.Equal(t, profile, bare, "make pgo writes one without the paths of a machine")
}

func TestWhatIsNoProfileIsRefused(t *testing.T) {
	for text, want := range map[string]string{"": "no profile", "samples": "no profile", "\x1f\x8b": "no profile"} {
		require.ErrorContains(t, run(bytes.NewReader([]byte(text)), io.Discard), want)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte{0x32, 0x09, 'x'})
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.ErrorContains(t, run(bytes.NewReader(zipped.Bytes()), io.Discard), "no profile")
	require.ErrorContains(t, run(bytes.NewReader(zipped.Bytes()[:zipped.Len()-4]), io.Discard), "cut short")
}
