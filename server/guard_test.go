package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/security"
	"github.com/kindredkv/kindred/server"
)

// fortress is a server with certificates.
type fortress struct {
	*house
	kit    security.Kit
	dir    string
	keeper *security.Keeper
	addr   string // of the gRPC door
}

func openFortress(t *testing.T) *fortress {
	f := &fortress{dir: filepath.Join(t.TempDir(), "tls")}
	var err error
	f.kit, err = security.OpenKit(f.dir)
	require.NoError(t, err)
	require.NoError(t, f.kit.Furnish([]string{"n1"}, []string{"127.0.0.1"}))
	f.keeper, err = security.Open(f.kit.Node("n1"), "n1")
	require.NoError(t, err)
	f.house = open(t, func(c *server.Config) { c.Security = f.keeper })
	f.url = "https" + strings.TrimPrefix(f.url, "http")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.addr = l.Addr().String()
	go func() { f.served <- f.ServeGRPC(l) }()
	return f
}

// stranger trusts the server and shows nothing.
func (f *fortress) stranger(t *testing.T) *tls.Config {
	return f.config(t, security.ClientFiles{CA: filepath.Join(f.dir, "ca.pem")})
}

func (f *fortress) config(t *testing.T, files security.ClientFiles) *tls.Config {
	c, _, err := files.Open()
	require.NoError(t, err)
	return c
}

func (f *fortress) dial(t *testing.T, c *tls.Config) *grpc.ClientConn {
	conn, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (f *fortress) get(t *testing.T, c *tls.Config, method, path, authorization string) *http.Response {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(within(t), method, f.url+path, nil)
	require.NoError(t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestBothDoorsSpeakTLS(t *testing.T) {
	f := openFortress(t)
	config := f.config(t, f.kit.Client("client"))
	_, err := pb.NewKVClient(f.dial(t, config)).Put(within(t), putAlice("v"))
	require.NoError(t, err)
	res := f.get(t, config, "GET", alice, "")
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "v", string(b))
	require.Equal(t, 2, res.ProtoMajor)

	t.Log("a token does as well")
	_, token, err := f.kit.TokenClient("client").Open()
	require.NoError(t, err)
	res = f.get(t, f.stranger(t), "GET", alice, "Bearer "+token)
	require.Equal(t, http.StatusOK, res.StatusCode)
	ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+token)
	_, err = pb.NewKVClient(f.dial(t, f.stranger(t))).Get(ctx, getAlice())
	require.NoError(t, err)
}

// methods asks the server itself what it serves.
func methods(t *testing.T, conn *grpc.ClientConn) []protoreflect.MethodDescriptor {
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(within(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	}))
	answer, err := stream.Recv()
	require.NoError(t, err)
	var all []protoreflect.MethodDescriptor
	for _, s := range answer.GetListServicesResponse().Service {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(s.Name))
		require.NoError(t, err)
		list := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range list.Len() {
			all = append(all, list.Get(i))
		}
	}
	return all
}

// call calls a method with an empty message, and reads to the end.
func call(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor) error {
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		return conn.Invoke(ctx, name, &emptypb.Empty{}, &emptypb.Empty{})
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, name)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil && err != io.EOF {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}

// Every method that the server says it has is closed, but for its health.
func TestNoMethodAnswersAStranger(t *testing.T) {
	f := openFortress(t)
	known, unknown := f.dial(t, f.config(t, f.kit.Client("client"))), f.dial(t, f.stranger(t))
	wrong := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer wrong")
	tried := 0
	for _, m := range methods(t, known) {
		if m.Parent().FullName() == "grpc.health.v1.Health" {
			continue
		}
		tried++
		for _, ctx := range []context.Context{within(t), wrong} {
			require.Equal(t, codes.Unauthenticated, status.Code(call(ctx, unknown, m)), m.FullName())
		}
		require.NotEqual(t, codes.Unauthenticated, status.Code(call(within(t), known, m)), m.FullName())
	}
	require.GreaterOrEqual(t, tried, 10)
	require.EqualValues(t, 2*tried, f.Refused())
	require.Empty(t, f.backend.objects)
	_, err := healthpb.NewHealthClient(unknown).Check(within(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
}

// routes reads from the program which paths it knows.
func routes(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`"(/[a-z0-9/{}.-]*)"`).FindAllStringSubmatch(string(text), -1) {
			all = append(all, strings.NewReplacer("{bucket}", "b", "{key}", "k").Replace(m[1]))
		}
	}
	return append(all, alice, "/v1/buckets/carts/keys", alice+"/stage", "/", "//healthz", "/healthz/", "/%68ealthz", "/nowhere")
}

// Every path is closed to strangers, by every method, but for the health.
func TestNoPathAnswersAStranger(t *testing.T) {
	f := openFortress(t)
	tried := 0
	for _, path := range routes(t) {
		if path == "/healthz" || path == "/readyz" {
			require.NotEqual(t, http.StatusUnauthorized, f.get(t, f.stranger(t), "GET", path, "").StatusCode)
			continue
		}
		tried++
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"} {
			for _, authorization := range []string{"", "Bearer wrong", "Basic YTpi"} {
				res := f.get(t, f.stranger(t), method, path, authorization)
				require.Equal(t, http.StatusUnauthorized, res.StatusCode, "%s %s", method, path)
				require.Equal(t, "Bearer", res.Header.Get("WWW-Authenticate"))
			}
		}
	}
	require.Greater(t, tried, 12)
	require.Empty(t, f.backend.objects)
	res := f.get(t, f.stranger(t), "PUT", alice, "")
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"error":{"code":"unauthenticated","outcome":"not_applied","field":"","limit":0,"dot":"","message":"`+security.ErrNoIdentity.Error()+`"}}`, string(b))
}

// A pipeline that was let in ends once its token is gone; what it asks after that
// is not done.
func TestRevokedTokensEndPipelines(t *testing.T) {
	f := openFortress(t)
	_, token, err := f.kit.TokenClient("client").Open()
	require.NoError(t, err)
	ctx := metadata.AppendToOutgoingContext(within(t), "authorization", "Bearer "+token)
	pipe, err := pb.NewKVClient(f.dial(t, f.stranger(t))).Pipeline(ctx)
	require.NoError(t, err)
	ask := func(value string) error {
		if err := pipe.Send(&pb.PipelineRequest{Calls: []*pb.Call{{Id: 1, Op: &pb.Call_Put{Put: putAlice(value)}}}}); err != nil {
			return err
		}
		_, err := pipe.Recv()
		return err
	}
	require.NoError(t, ask("v1"))
	require.NoError(t, security.WritePrivate(filepath.Join(f.dir, "tokens"), nil))
	changed, err := f.keeper.Reload()
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, codes.Unauthenticated, status.Code(ask("v2")))
	res := f.get(t, f.config(t, f.kit.Client("client")), "GET", alice, "")
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, "v1", string(b))
}

// A call is judged by its head: nothing that a stranger sends besides is waited for
// or kept.
func TestAStrangersRequestIsNotWaitedFor(t *testing.T) {
	f := openFortress(t)
	desc := &grpc.StreamDesc{ClientStreams: true}
	stream, err := f.dial(t, f.stranger(t)).NewStream(within(t), desc, pb.KV_Put_FullMethodName)
	require.NoError(t, err)
	err = stream.RecvMsg(&emptypb.Empty{}) // no put was sent
	require.Equal(t, codes.Unauthenticated, status.Code(err), err)
	require.ErrorContains(t, err, "this node wants to know who calls")
}
