package server

import (
	"bytes"
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

const (
	// pingAfter and pingTimeout find connections whose other end is gone.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
	// pingEveryMin is how often a client may ping without being cut off.
	pingEveryMin = 5 * time.Second
	// metadataBytesMax bounds the headers of a call; of ours are only who calls and the
	// cluster that is wanted.
	metadataBytesMax = 16 << 10
	// readinessEvery is how often the health service asks the backend.
	readinessEvery = time.Second
)

func (s *Server) newGRPC() *grpc.Server {
	options := []grpc.ServerOption{
		grpc.Creds(s.newDoorman()),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(api.RequestBytesMax),
		grpc.MaxSendMsgSize(api.ResponseBytesMax),
		grpc.MaxHeaderListSize(metadataBytesMax),
		grpc.MaxConcurrentStreams(uint32(s.cfg.StreamsPerConnectionMax)),
		grpc.ConnectionTimeout(s.cfg.HeaderTimeout),
		grpc.ChainUnaryInterceptor(s.countAnswer, s.judgeUnary),
		grpc.ChainStreamInterceptor(s.judgeStream),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: pingAfter, Timeout: pingTimeout, MaxConnectionIdle: s.cfg.IdleTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEveryMin, PermitWithoutStream: true}),
	}
	if guard := s.guard(); guard != nil {
		options = append(options, guard.options()...)
	}
	g := grpc.NewServer(options...)
	pb.RegisterKVServer(g, &kvDoor{Server: s})
	pb.RegisterClusterServer(g, &clusterDoor{Server: s})
	healthpb.RegisterHealthServer(g, s.health)
	reflection.Register(g)
	return g
}

// kvDoor is the service kindred.v1.KV.
type kvDoor struct {
	pb.UnimplementedKVServer
	*Server
}

func (d *kvDoor) Get(ctx context.Context, m *pb.GetRequest) (*pb.GetResponse, error) {
	req, err := api.ParseGet(m)
	return unary(ctx, d.Server, kindred.OpGet, req, err, api.FormatGetResponse)
}

func (d *kvDoor) Put(ctx context.Context, m *pb.PutRequest) (*pb.PutResponse, error) {
	req, err := api.ParsePut(m)
	return unary(ctx, d.Server, kindred.OpPut, req, err, api.FormatPutResponse)
}

func (d *kvDoor) Delete(ctx context.Context, m *pb.DeleteRequest) (*pb.DeleteResponse, error) {
	req, err := api.ParseDelete(m)
	return unary(ctx, d.Server, kindred.OpDelete, req, err, api.FormatDeleteResponse)
}

// Stage says how far a write has come.
func (d *kvDoor) Stage(ctx context.Context, m *pb.StageRequest) (*pb.StageResponse, error) {
	req, err := api.ParseStage(m)
	return unary(ctx, d.Server, kindred.OpStage, req, err, api.FormatStageResponse)
}

// unary asks for what was parsed, and gives the answer its gRPC form.
func unary[M any](ctx context.Context, s *Server, op kindred.Op, req *kindred.Request, bad *kindred.Error,
	format func(*kindred.Response) *M) (*M, error) {
	ctx, tell := traceCall(ctx, req)
	r := s.askParsed(ctx, op, req, bad)
	if r.Err != nil {
		tell()
		return nil, api.Status(r.Err).Err()
	}
	return format(r), nil
}

// askParsed is ask, unless the request was bad.
func (s *Server) askParsed(ctx context.Context, op kindred.Op, req *kindred.Request, bad *kindred.Error) *kindred.Response {
	if bad != nil {
		return s.refuse(op, requestID(ctx, req), bad)
	}
	return s.ask(ctx, req)
}

// Scan asks the backend page by page; the client's reading sets the pace.
func (d *kvDoor) Scan(m *pb.ScanRequest, stream grpc.ServerStreamingServer[pb.ScanResponse]) error {
	if err := d.streams.enter(); err != nil {
		return api.Status(d.refuse(kindred.OpScan, "", err).Err).Err()
	}
	defer d.streams.leave()
	ctx, tell := traceCall(stream.Context(), nil)
	unread := d.watchUnread(ctx)
	defer unread.close()
	page, total, bad := api.ParseScan(m)
	for sent := uint64(0); ; {
		r := d.askParsed(ctx, kindred.OpScan, page, bad)
		bytes := int(pageBytes(r))
		if r.Err == nil {
			r.Err = unread.room(bytes)
		}
		if r.Err != nil {
			tell()
			return api.Status(r.Err).Err()
		}
		if err := unread.send(stream, api.FormatScanResponse(r), bytes); err != nil {
			return err
		}
		sent += uint64(len(r.Keys))
		if len(r.Cursor) == 0 || total > 0 && sent >= total {
			return nil
		}
		if page, bad = nextPage(m, r, total, sent); bad != nil {
			return api.Status(d.refuse(kindred.OpScan, requestID(ctx, nil), bad).Err).Err()
		}
	}
}

// nextPage is the request for what follows r. A backend that does not move
// would be asked for ever.
func nextPage(m *pb.ScanRequest, r *kindred.Response, total, sent uint64) (*kindred.Request, *kindred.Error) {
	if len(r.Keys) == 0 && bytes.Equal(r.Cursor, m.GetCursor()) {
		return nil, &kindred.Error{
			Code: kindred.CodeInternal, Outcome: kindred.NotApplied,
			Message: "the scan stands still: a page had no keys and ended where it began",
		}
	}
	m.Cursor = r.Cursor
	if total > 0 {
		m.Limit = total - sent
	}
	page, _, err := api.ParseScan(m)
	return page, err
}

// clusterDoor is the service kindred.v1.Cluster.
type clusterDoor struct {
	pb.UnimplementedClusterServer
	*Server
}

func (d *clusterDoor) Describe(_ context.Context, m *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	c, l := d.cfg.Backend.Cluster(), d.local()
	if m.GetReplication() {
		l = d.whole()
	}
	return api.FormatDescribe(&c, &l), nil
}

func (d *clusterDoor) Inspect(ctx context.Context, m *pb.InspectRequest) (*pb.InspectResponse, error) {
	req, err := api.ParseInspect(m)
	return unary(ctx, d.Server, kindred.OpInspect, req, err, api.FormatInspectResponse)
}

// RepairKey makes the replicas of a key equal.
func (d *clusterDoor) RepairKey(ctx context.Context, m *pb.InspectRequest) (*pb.InspectResponse, error) {
	req, err := api.ParseRepairKey(m)
	return unary(ctx, d.Server, kindred.OpRepair, req, err, api.FormatInspectResponse)
}

func (d *clusterDoor) RepairNode(_ context.Context, m *pb.RepairNodeRequest) (*pb.RepairNodeResponse, error) {
	replicas, err := d.repair(api.ParseRepairNode(m))
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return &pb.RepairNodeResponse{Replicas: uint32(replicas)}, nil
}

// Holdings says what the node holds of some write events.
func (d *clusterDoor) Holdings(_ context.Context, m *pb.HoldingsRequest) (*pb.HoldingsResponse, error) {
	if d.cfg.Holder == nil {
		return nil, api.Status(kindred.Invalid("holdings", "this node does not say what it holds")).Err()
	}
	h, err := d.cfg.Holder.Holdings(api.ParseHoldings(m))
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return api.FormatHoldingsResponse(&h), nil
}

// DrainNode passes on an order.
func (d *clusterDoor) DrainNode(_ context.Context, m *pb.DrainNodeRequest) (*pb.DrainNodeResponse, error) {
	switch {
	case d.cfg.Drainer == nil:
		return nil, api.Status(kindred.Invalid("drain", "this node takes no orders to drain")).Err()
	case m.GetUndo() && m.GetStop():
		return nil, api.Status(kindred.Invalid("undo", "a node cannot take requests again and stop: ask for one of them")).Err()
	case m.GetUndo():
		d.cfg.Drainer.Resume()
	case m.GetStop():
		d.cfg.Drainer.Drain()
		d.cfg.Drainer.StopSoon()
	default:
		d.cfg.Drainer.Drain()
	}
	d.showReadiness()
	return &pb.DrainNodeResponse{}, nil
}

// newHealth knows the process to be up, and nothing of the node yet: unknown is
// not healthy (I12).
func newHealth() *health.Server {
	h := health.NewServer()
	h.SetServingStatus(pb.Cluster_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus(pb.KV_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	return h
}

// watchReadiness carries readiness into the health service until the drain,
// which has the last word there.
func (s *Server) watchReadiness() {
	if s.watching.Swap(true) {
		return
	}
	s.showReadiness()
	go func() {
		tick := time.NewTicker(readinessEvery)
		defer tick.Stop()
		for {
			select {
			case <-s.draining:
				return
			case <-tick.C:
				s.showReadiness()
			}
		}
	}()
}

func (s *Server) showReadiness() {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if s.local().Ready {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(pb.KV_ServiceDesc.ServiceName, status)
}
