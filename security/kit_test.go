package security

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKitFurnishesACluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	kit, err := OpenKit(dir)
	require.NoError(t, err)
	require.NoError(t, kit.Furnish([]string{"n1", "n2"}, []string{"127.0.0.1", "localhost"}))
	n1, err := Open(kit.Node("n1"), "n1")
	require.NoError(t, err)
	for _, files := range []ClientFiles{kit.Client("client"), kit.TokenClient("client")} {
		config, token, err := files.Open()
		require.NoError(t, err)
		config.NextProtos = []string{"h2"}
		seen, _, atClient := meet(t, n1.Server("h2"), config)
		require.NoError(t, atClient)
		if token != "" {
			token = "Bearer " + token
		}
		name, err := n1.Caller(&seen, token)
		require.NoError(t, err)
		require.Equal(t, "client", name)
	}

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm(), e.Name())
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())

	before, err := os.ReadFile(filepath.Join(dir, "n1.pem"))
	require.NoError(t, err)
	require.NoError(t, kit.Furnish([]string{"n1", "n2", "n3"}, []string{"127.0.0.1"}))
	after, err := os.ReadFile(filepath.Join(dir, "n1.pem"))
	require.NoError(t, err)
	require.Equal(t, before, after, "what is there stays")
	_, err = Open(kit.Node("n3"), "n3")
	require.NoError(t, err)
}

func TestKitLosesNothing(t *testing.T) {
	kit, err := OpenKit(t.TempDir())
	require.NoError(t, err)
	require.ErrorContains(t, kit.MakeNode("n1", nil, CertificateLife), "no authority in")
	require.NoError(t, kit.MakeAuthority("a", AuthorityLife))
	require.NoError(t, kit.MakeToken("bob"))
	require.NoError(t, kit.MakeToken("eve"))
	require.NoError(t, kit.MakeGossipKey())
	exists := (*ExistsError)(nil)
	require.ErrorAs(t, kit.MakeAuthority("b", AuthorityLife), &exists)
	require.ErrorAs(t, kit.MakeToken("bob"), &exists)
	require.ErrorAs(t, kit.MakeGossipKey(), &exists)
	for _, name := range []string{"", "ca", "../n1", ".hidden", "a b"} {
		require.ErrorContains(t, kit.MakeClient(name, CertificateLife), "cannot be the name")
	}
	b, err := os.ReadFile(filepath.Join(kit.dir, "tokens"))
	require.NoError(t, err)
	tokens, err := parseTokens(b)
	require.NoError(t, err)
	for _, name := range []string{"bob", "eve"} {
		_, secret, err := kit.TokenClient(name).Open()
		require.NoError(t, err)
		who, ok := holder(tokens, secret)
		require.True(t, ok)
		require.Equal(t, name, who)
	}
}
