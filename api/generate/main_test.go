package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The generated files are committed, so that go get works; this says when they
// no longer are what the contract says.
func TestGeneratedFilesAreFresh(t *testing.T) {
	fresh := t.TempDir()
	require.NoError(t, run(t.Context(), "..", fresh))
	for _, name := range []string{"kindred.pb.go", "kindred_grpc.pb.go"} {
		want, err := os.ReadFile(filepath.Join(fresh, "kindred", "v1", name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("..", "kindred", "v1", name))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "api/kindred/v1/%s is stale: run go generate ./api/...", name)
	}
}

func TestAFaultInTheContractIsAnError(t *testing.T) {
	root := t.TempDir()
	require.ErrorContains(t, run(t.Context(), root, root), "kindred.proto")

	path := filepath.Join(root, filepath.FromSlash(source))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("syntax = \"proto3\";\nmessage {}"), 0o644))
	require.ErrorContains(t, run(t.Context(), root, root), "kindred.proto:2")
}
