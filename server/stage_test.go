package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

func TestTheStageOfAWriteIsAskedFor(t *testing.T) {
	h := open(t)
	got := h.get(t, alice+"/stage?dot=n1:1")
	require.Equal(t, answer{200, nil, `{"dot":"n1:1","stage":"propagated","wanted":"","reached":true}` + "\n"}, strip(got))
	require.Equal(t, "propagated", got.header.Get("Kindred-Stage"))
	require.Equal(t, kindred.StageNone, h.backend.last().Stage, "nothing was waited for")

	got = h.get(t, alice+"/stage?dot=n1:1&wait=propagated&timeout=2s")
	require.Equal(t, 200, got.status)
	require.Equal(t, kindred.Propagated, h.backend.last().Stage)

	got = h.get(t, alice+"/stage?dot=n1:1&wait=settled")
	require.Equal(t, answer{202, nil, `{"dot":"n1:1","stage":"propagated","wanted":"settled","reached":false}` + "\n"}, strip(got))

	for query, field := range map[string]string{
		"?wait=settled": "dot", "?dot=n1:1&wait=soon": "wait", "?dot=n1:1&timeout=-1s": "timeout", "?dot=n1:1&r=1": "r",
	} {
		got := h.get(t, alice+"/stage"+query)
		require.Equal(t, 400, got.status, query)
		require.Contains(t, got.body, `"field":"`+field+`"`)
	}
	require.Equal(t, 405, h.do(t, "PUT", alice+"/stage", nil).status)
	h.put(t, "/v1/buckets/b/keys/stage", "a key of that name")
	require.Equal(t, "a key of that name", h.get(t, "/v1/buckets/b/keys/stage").body)

	m, err := h.kv(t).Stage(within(t), &pb.StageRequest{Bucket: "b", Key: []byte("k"), Dot: "n1:1", Stage: pb.Stage_STAGE_SETTLED})
	require.NoError(t, err)
	require.Equal(t, pb.Stage_STAGE_PROPAGATED, m.Stage)
	_, err = h.kv(t).Stage(within(t), &pb.StageRequest{Bucket: "b", Key: []byte("k"), Dot: "n1:1", Stage: 77})
	require.Equal(t, "stage", api.ErrorOf(err).Field)
}

func TestRepairsAreOrdered(t *testing.T) {
	h := open(t)
	require.Equal(t, answer{202, nil, `{"replicas":2}` + "\n"}, strip(h.do(t, "POST", "/v1/local/repair", nil)))
	require.Equal(t, answer{202, nil, `{"replicas":1}` + "\n"}, strip(h.do(t, "POST", "/v1/local/repair?partition=3", nil)))
	for _, wrong := range []string{"?partition=64", "?partition=-1", "?partition=x", "?key=k"} {
		require.Equal(t, 400, h.do(t, "POST", "/v1/local/repair"+wrong, nil).status, wrong)
	}
	require.Equal(t, 405, h.get(t, "/v1/local/repair").status)

	c := pb.NewClusterClient(h.dial(t))
	m, err := c.RepairNode(within(t), api.FormatRepairNode(kindred.AllPartitions))
	require.NoError(t, err)
	require.EqualValues(t, 2, m.Replicas)
	m, err = c.RepairNode(within(t), api.FormatRepairNode(0))
	require.NoError(t, err)
	require.EqualValues(t, 1, m.Replicas)
	_, err = c.Init(within(t), &pb.InitRequest{})
	require.Contains(t, err.Error(), "this node takes no orders to make a layout")
	_, err = c.RepairNode(within(t), api.FormatRepairNode(99))
	require.Equal(t, "partition", api.ErrorOf(err).Field)

	views, err := c.RepairKey(within(t), &pb.InspectRequest{Bucket: "b", Key: []byte("k")})
	require.NoError(t, err)
	require.True(t, views.Replicas[1].Repaired)
	require.Equal(t, kindred.OpRepair, h.backend.last().Op)

	bare := open(t, func(c *server.Config) { c.Repairs = nil })
	require.Equal(t, 400, bare.do(t, "POST", "/v1/local/repair", nil).status)
}

func TestReplicasAreShownOneByOne(t *testing.T) {
	h := open(t)
	require.Equal(t, answer{200, nil, `{"node":"n1","unknown":"","replicas":[` +
		`{"partition":3,"n":3,"trusted":true,"waits_for":[],"lag_dots":0,"lag_since":"","unserved_dots":0,"unsettled_dots":0,"log_rows":7,` +
		`"heard":"2001-09-09T01:46:39.5Z","rebuild_state":"","rebuild_source":"","rebuild_began":"","rebuild_keys":0,"rebuild_bytes":0,` +
		`"damaged_parts":0,"auditing":false,"audit_wanted":false,"audit_ended":"","audit_complete":false,"audit_problem":"","audits_failing_since":"",` +
		`"unaudited_dots":0,"missing_dots":0,"missing_since":""},` +
		`{"partition":5,"n":3,"trusted":false,"waits_for":["n2"],"lag_dots":4,"lag_since":"2001-09-09T01:46:31Z","unserved_dots":0,"unsettled_dots":2,"log_rows":0,` +
		`"heard":"","rebuild_state":"copying","rebuild_source":"n2","rebuild_began":"2001-09-09T01:46:31Z","rebuild_keys":10,"rebuild_bytes":100,` +
		`"damaged_parts":0,"auditing":false,"audit_wanted":false,"audit_ended":"","audit_complete":false,"audit_problem":"","audits_failing_since":"",` +
		`"unaudited_dots":0,"missing_dots":0,"missing_since":""}]}` + "\n"}, strip(h.get(t, "/v1/local/replicas")))

	c := pb.NewClusterClient(h.dial(t))
	m, err := c.Describe(within(t), &pb.DescribeRequest{})
	require.NoError(t, err)
	require.Nil(t, m.Local.Replication, "it is not asked for")
	m, err = c.Describe(within(t), &pb.DescribeRequest{Replication: true})
	require.NoError(t, err)
	_, local := api.ParseDescribe(m)
	require.Len(t, local.Replication.Replicas, 2)
	require.Equal(t, "n3", local.Replication.Hints.Debts[0].Target)
}

// holder holds what it is asked for.
type holder struct{}

func (holder) Holdings(of []kindred.Holding) (kindred.Holdings, *kindred.Error) {
	if len(of) == 0 {
		return kindred.Holdings{}, kindred.Invalid("dots", "nothing was asked")
	}
	return kindred.Holdings{Holdings: of}, nil
}

func TestANodeSaysWhatItHolds(t *testing.T) {
	c := pb.NewClusterClient(open(t, func(c *server.Config) { c.Holder = holder{} }).dial(t))
	m, err := c.Holdings(within(t), &pb.HoldingsRequest{Of: []*pb.Holding{{Partition: 3, N: 3, Dots: []byte{1}}}})
	require.NoError(t, err)
	require.EqualValues(t, 3, m.Holdings[0].Partition)
	_, err = c.Holdings(within(t), &pb.HoldingsRequest{})
	require.Equal(t, "dots", api.ErrorOf(err).Field)
	_, err = pb.NewClusterClient(open(t).dial(t)).Holdings(within(t), &pb.HoldingsRequest{})
	require.Equal(t, "holdings", api.ErrorOf(err).Field)
}

// drainer notes its orders.
type drainer struct{ orders []string }

func (d *drainer) Drain()    { d.orders = append(d.orders, "drain") }
func (d *drainer) Resume()   { d.orders = append(d.orders, "resume") }
func (d *drainer) StopSoon() { d.orders = append(d.orders, "stop") }

func TestANodeIsOrderedToDrain(t *testing.T) {
	d := &drainer{}
	c := pb.NewClusterClient(open(t, func(c *server.Config) { c.Drainer = d }).dial(t))
	for _, m := range []*pb.DrainNodeRequest{{}, {Undo: true}, {Stop: true}} {
		_, err := c.DrainNode(within(t), m)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"drain", "resume", "drain", "stop"}, d.orders)
	_, err := c.DrainNode(within(t), &pb.DrainNodeRequest{Undo: true, Stop: true})
	require.Equal(t, "undo", api.ErrorOf(err).Field)
	_, err = pb.NewClusterClient(open(t).dial(t)).DrainNode(within(t), &pb.DrainNodeRequest{})
	require.Equal(t, "drain", api.ErrorOf(err).Field)
}
