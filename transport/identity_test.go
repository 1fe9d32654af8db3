package transport_test

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/transport"
)

// kitOf is an authority with certificates for n1, n2 and n3.
func kitOf(t testing.TB) (security.Kit, string) {
	dir := filepath.Join(t.TempDir(), "cluster", "tls")
	kit, err := security.OpenKit(dir)
	require.NoError(t, err)
	require.NoError(t, kit.Furnish([]string{"n1", "n2", "n3"}, nil))
	return kit, dir
}

// as secures a transport with the certificate of a node.
func as(t testing.TB, kit security.Kit, name string) (*security.Keeper, func(*transport.Config)) {
	k, err := security.Open(kit.Node(name), name)
	require.NoError(t, err)
	return k, func(c *transport.Config) { c.Security = k }
}

func TestLinksAreEncryptedAndProven(t *testing.T) {
	kit, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	_, asN2 := as(t, kit, "n2")
	var got inbox
	one, two := listen(t, "n1", ignore, hasty, asN1), listen(t, "n2", got.receive, hasty, asN2)
	meet(t, one, two)
	require.NoError(t, one.Send("n2", []byte("hello")))
	require.NoError(t, one.SendBulk("n2", []byte("freight")))
	eventually(t, func() bool { return got.has("n1:hello") && got.has("n1:freight") })
}

// Whoever cannot prove the name that he goes by has no link; the log of those who
// can says who came and who was wanted.
func TestWhoHasNoLink(t *testing.T) {
	kit, _ := kitOf(t)
	foreign, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	_, asN3 := as(t, kit, "n3")
	_, asStranger := as(t, foreign, "n2")
	for _, c := range []struct {
		name             string
		other            func(*transport.Config)
		dialled, refused string
	}{
		{"another node", asN3,
			"a certificate that names n3, where n2 was wanted: the certificate belongs to another node",
			"refused a link\" reason=\"refused n2: a certificate that names n3, where n2 was wanted"},
		{"a foreign node", asStranger,
			"a certificate that names n2, where n2 was wanted: it was signed by",
			"remote error: tls: bad certificate"},
		{"a node without certificates", plain, "no link to peer", "first record does not look like a TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log journal
			one := listen(t, "n1", ignore, hasty, asN1, log.into)
			two := listen(t, "n2", func(string, transport.Batch) { t.Error("let in") }, hasty, c.other)
			one.SetPeers(map[string]string{"n2": two.Addr()})
			two.SetPeers(map[string]string{"n1": one.Addr()})
			eventually(t, func() bool { return log.count(c.dialled) > 0 && log.count(c.refused) > 0 })
			require.False(t, linked(one, "n2"))
			require.False(t, linked(two, "n1"))
			eventually(t, func() bool {
				return statsOf(one, "").RefusedIn+statsOf(one, "n2").RefusedIn+statsOf(one, "n3").RefusedIn > 0
			})
			require.Zero(t, statsOf(one, "n2").ConnectsIn)
		})
	}
}

// A client's certificate opens no link: the hello is not even read.
func TestAClientIsNoNode(t *testing.T) {
	kit, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	var log journal
	one := listen(t, "n1", ignore, hasty, asN1, log.into)
	config, _, err := kit.Client("client").Open()
	require.NoError(t, err)
	config.NextProtos, config.InsecureSkipVerify = []string{security.PeerProtocol}, true
	raw, err := net.Dial("tcp", one.Addr())
	require.NoError(t, err)
	defer raw.Close()
	conn := tls.Client(raw, config)
	require.NoError(t, conn.Handshake())
	_, err = conn.Read(make([]byte, 1))
	require.ErrorContains(t, err, "bad certificate")
	eventually(t, func() bool { return log.count(`\"client\" is a client`) > 0 })
}

// Once an authority is no longer trusted, its links end, new and old ones.
func TestRevokedPeersLoseTheirLinks(t *testing.T) {
	kit, dir := kitOf(t)
	other, _ := kitOf(t)
	k1, asN1 := as(t, kit, "n1")
	_, asN2 := as(t, kit, "n2")
	var log journal
	one, two := listen(t, "n1", ignore, hasty, asN1, log.into), listen(t, "n2", ignore, hasty, asN2)
	meet(t, one, two)

	next := other.Node("n1")
	for from, to := range map[string]string{next.Cert: "n1.pem", next.Key: "n1.key", next.CA: "ca.pem"} {
		b, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, security.WritePrivate(filepath.Join(dir, to), b))
	}
	changed, err := k1.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	eventually(t, func() bool { return !one.Linked("n2") && !two.Linked("n1") })
	eventually(t, func() bool { return log.count("which is no authority of this cluster") > 0 })
	eventually(t, func() bool { return statsOf(one, "n2").Impostors > 0 }) // each lane finds out by itself
	require.False(t, linked(one, "n2") || linked(two, "n1"))
}
