package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/ring"
)

func TestDialSaysWhichAddressFailedAndWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		where := &pipes{listeners: map[string]*pipeListener{}}
		gone := where.listen("")
		gone.Close()
		nobody, silent := gone.Addr().String(), startClusterOn(where, 1)
		defer silent.stop()
		silent.nodes[0].freezer.freeze(true)

		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := client.Dial(ctx, []string{nobody, silent.nodes[0].addr}, client.WithDialer(where.dial))
		var failed *client.DialError
		require.ErrorAs(t, err, &failed)
		require.Len(t, failed.Failed, 2)
		require.ErrorContains(t, err, nobody)
		require.ErrorContains(t, err, "connection refused")
		require.ErrorContains(t, err, silent.nodes[0].addr)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestDialWithoutAddressSaysSo(t *testing.T) {
	_, err := client.Dial(t.Context(), nil)
	require.ErrorContains(t, err, "pass at least one host:port")
}

func TestDialRefusesSettingsOutOfRange(t *testing.T) {
	for _, opt := range []client.Option{
		client.WithTimeout(0), client.WithRefresh(-1), client.WithOutstanding(0), client.WithHedgeAfter(-1),
	} {
		_, err := client.Dial(t.Context(), []string{"127.0.0.1:1"}, opt)
		require.True(t, kindred.HasCode(err, kindred.CodeInvalid), err)
	}
}

func TestOneLivingSeedIsEnough(t *testing.T) {
	f := cluster(t, 3)
	addrs := f.addrs()
	f.nodes[0].kill()
	c, err := client.Dial(t.Context(), addrs)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, []string{"n1", "n2", "n3"}, c.Nodes())
}

func TestOneSeedTeachesTheWholeCluster(t *testing.T) {
	f := cluster(t, 3)
	c, err := client.Dial(t.Context(), f.addrs()[:1])
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, []string{"n1", "n2", "n3"}, c.Nodes())
}

func TestANewMemberAndANewLayoutAreLearnt(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f, client.WithRefresh(20*time.Millisecond))
	f.grow()
	require.Eventually(t, func() bool { return len(c.Nodes()) == 4 }, 20*time.Second, time.Millisecond)
	n4 := f.nodes[3]
	b := c.Bucket("carts")
	require.Eventually(t, func() bool {
		_, err := b.Get(t.Context(), f.keyOf("carts", "n4"))
		return err == nil && n4.calls.Load() > 0
	}, 20*time.Second, time.Millisecond)
}

func TestAMemberThatLeftIsForgotten(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f, client.WithRefresh(20*time.Millisecond))
	f.leave(2)
	require.Eventually(t, func() bool { return len(c.Nodes()) == 2 }, 20*time.Second, time.Millisecond)
	_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
	require.NoError(t, err)
}

func TestAWrongRingIsAReasonToAskAtOnce(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f, client.WithRefresh(time.Hour))
	stale := &kindred.Error{Code: kindred.CodeWrongRing, Message: "not mine", Outcome: kindred.NotApplied}
	f.nodes[0].refusal.Store(stale)
	f.grow()
	for f.nodes[0].calls.Load() == 0 {
		_, err := c.Bucket("carts").Get(t.Context(), f.keyOf("carts", "n1"))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(c.Nodes()) == 4 }, 20*time.Second, time.Millisecond)
}

// TestCallsFollowTheirKeysToNewOwners: between two requests every key gets owners that
// the client has never heard of, and those it knows refuse. No call fails, however many
// there are: who goes where a key is now spends no retry.
func TestCallsFollowTheirKeysToNewOwners(t *testing.T) {
	bubble(t, 3, func(t *testing.T, f *fakeCluster, c *client.Client) {
		b := c.Bucket("carts")
		_, err := b.Put(t.Context(), "alice", []byte("milk"))
		require.NoError(t, err)
		f.move(3)
		var all sync.WaitGroup
		for i := range 1500 {
			all.Go(func() {
				if _, err := b.Put(t.Context(), fmt.Sprintf("key-%d", i), nil); err != nil {
					t.Errorf("a put did not follow its key: %v", err)
				}
			})
		}
		all.Wait()
		require.Equal(t, 1501, f.writes())
		require.Zero(t, c.Stats().RetriesDenied)
		before := f.nodes[0].calls.Load() + f.nodes[1].calls.Load() + f.nodes[2].calls.Load()
		for range 30 {
			_, err := b.Get(t.Context(), "alice")
			require.NoError(t, err)
		}
		after := f.nodes[0].calls.Load() + f.nodes[1].calls.Load() + f.nodes[2].calls.Load()
		require.Equal(t, before, after, "the old owners are asked no more")
	}, client.WithRefresh(time.Hour))
}

func TestALostNodeIsAReasonToAskAtOnce(t *testing.T) {
	f := cluster(t, 2)
	dial(t, f, client.WithRefresh(time.Hour))
	before := f.nodes[0].describes.Load()
	f.nodes[1].kill()
	require.Eventually(t, func() bool { return f.nodes[0].describes.Load() > before }, 20*time.Second, time.Millisecond)
}

func TestAnotherClusterAtAKnownAddressTeachesNothing(t *testing.T) {
	f := cluster(t, 1)
	c := dial(t, f, client.WithRefresh(10*time.Millisecond))
	f.mu.Lock()
	f.id = "another"
	f.mu.Unlock()
	f.grow()
	seen := f.nodes[0].describes.Load()
	require.Eventually(t, func() bool { return f.nodes[0].describes.Load() > seen+3 }, 20*time.Second, time.Millisecond)
	require.Equal(t, []string{"n1"}, c.Nodes())
}

func TestAClusterWithoutALayoutIsServedByWhoeverAnswers(t *testing.T) {
	f := cluster(t, 3)
	f.mu.Lock()
	f.layout = nil
	f.mu.Unlock()
	c := dial(t, f)
	_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
	require.NoError(t, err)
}

func TestTheClusterIsShown(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	shown, err := c.Cluster(t.Context())
	require.NoError(t, err)
	require.Equal(t, "fake", shown.ClusterID)
	require.Len(t, shown.Members, 3)
	layout, err := ring.Decode(shown.Layout)
	require.NoError(t, err)
	require.Equal(t, shown.LayoutVersion, layout.Version().String())

	shown, local, err := c.Describe(t.Context(), "n2")
	require.NoError(t, err)
	require.Equal(t, "n2", shown.Node)
	require.True(t, local.Ready)
	_, _, err = c.Describe(t.Context(), "n9")
	require.ErrorContains(t, err, `no node is called "n9"`)

	views, err := c.Inspect(t.Context(), "carts", "alice")
	require.NoError(t, err)
	require.Equal(t, []kindred.ReplicaView{{Node: "n1", Context: "alice"}, {Node: "n2", Err: "unreachable"}}, views)
	require.Equal(t, 7, local.Replication.Replicas[0].Partition)

	views, err = c.RepairKey(t.Context(), "carts", "alice")
	require.NoError(t, err)
	require.True(t, views[1].Repaired)
	replicas, err := c.RepairNode(t.Context(), "n2", kindred.AllPartitions)
	require.NoError(t, err)
	require.Equal(t, 64, replicas)
	_, err = c.RepairNode(t.Context(), "n2", 99)
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	require.ErrorContains(t, err, "no partition 99")
	_, err = c.RepairNode(t.Context(), "n9", 1)
	require.ErrorContains(t, err, `no node is called "n9"`)
}

func TestANodeIsAskedWhatItHolds(t *testing.T) {
	c := dial(t, cluster(t, 3))
	asked := []kindred.Holding{{Partition: 7, N: 3, Dots: []byte{1}}}
	h, err := c.Holdings(t.Context(), "n2", asked)
	require.NoError(t, err)
	require.Equal(t, asked, h.Holdings)
	_, err = c.Holdings(t.Context(), "n3", nil)
	require.ErrorContains(t, err, "ask for the holdings of n3")
	_, err = c.Holdings(t.Context(), "n9", nil)
	require.ErrorContains(t, err, `no node is called "n9"`)
}

func TestQuestionsAboutTheClusterGoElsewhereToo(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	f.nodes[0].kill()
	for range 6 {
		_, err := c.Cluster(t.Context())
		require.NoError(t, err)
		_, err = c.Inspect(t.Context(), "carts", "alice")
		require.NoError(t, err)
	}
	f.nodes[1].refusal.Store(&kindred.Error{Code: kindred.CodeInvalid, Message: "no", Outcome: kindred.NotApplied})
	f.nodes[2].kill()
	_, err := c.Inspect(t.Context(), "carts", "alice", client.Timeout(2*time.Second))
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid), err)
}

func TestASeedIsEnoughWhenNobodyIsWhereTheySay(t *testing.T) {
	f := cluster(t, 3)
	f.mu.Lock()
	f.advertised = "127.0.0.1:1"
	f.mu.Unlock()
	c, err := client.Dial(t.Context(), f.addrs()[:1], client.WithRefresh(10*time.Millisecond))
	require.NoError(t, err)
	defer c.Close()
	const questions = 20
	for f.nodes[0].describes.Load() < questions {
		_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
		require.NoError(t, err)
	}
	require.Zero(t, f.nodes[1].calls.Load()+f.nodes[2].calls.Load())
	require.Less(t, f.nodes[0].freezer.accepted.Load(), int64(questions/2),
		"one connection to find it, one to keep, and others only where it was slow")
}

func TestConnectionsCanBeEncrypted(t *testing.T) {
	server, trusted := certificate(t)
	f := startClusterOn(encrypted{server}, 3)
	t.Cleanup(f.stop)
	c := dial(t, f, client.WithTLS(&tls.Config{RootCAs: trusted}))
	_, err := c.Bucket("carts").Put(t.Context(), "alice", nil)
	require.NoError(t, err)

	_, err = client.Dial(t.Context(), f.addrs(), client.WithTLS(&tls.Config{RootCAs: x509.NewCertPool()}))
	require.ErrorContains(t, err, "certificate")
}

// encrypted is loopback with TLS.
type encrypted struct{ cert tls.Certificate }

func (e encrypted) listen(addr string) net.Listener {
	return tls.NewListener(loopback{}.listen(addr), &tls.Config{Certificates: []tls.Certificate{e.cert}, NextProtos: []string{"h2"}})
}

// certificate makes one for 127.0.0.1 and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	plain := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, plain, plain, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(signed)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}, pool
}
