package api_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// fill sets every field below v to a value of its own that is not zero, so
// that a field that is dropped or swapped with another shows.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(int64(1e12 + *n)).UTC()))
		return
	case time.Duration:
		v.SetInt(int64(time.Duration(*n) * time.Millisecond))
		return
	case kindred.Count:
		v.SetInt(int64(*n%kindred.ReplicasMax + 1))
		return
	case kindred.Durability:
		v.SetUint(uint64(kindred.Sync))
		return
	case kindred.Sloppiness:
		v.SetUint(uint64(kindred.Strict))
		return
	case kindred.Stage:
		v.SetUint(uint64(kindred.Settled))
		return
	case kindred.Outcome:
		v.SetUint(uint64(kindred.NotApplied))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n % 256))
	default:
		panic("fill knows no " + v.Type().String())
	}
}

func filled[T any]() *T {
	v, n := new(T), 0
	fill(reflect.ValueOf(v).Elem(), &n)
	return v
}

// travel sends a message over the wire.
func travel[M proto.Message](t *testing.T, m M) M {
	t.Helper()
	b, err := proto.Marshal(m)
	require.NoError(t, err)
	out := m.ProtoReflect().New().Interface()
	require.NoError(t, proto.Unmarshal(b, out))
	return out.(M)
}

// carried collects the fields, by path, that differ from their zero value.
func carried(v reflect.Value, path string, into map[string]bool) {
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		for i := range v.NumField() {
			carried(v.Field(i), path+"."+v.Type().Field(i).Name, into)
		}
		return
	}
	into[path] = into[path] || !v.IsZero()
}

// requestTrips sends a request through each of the messages that carry one.
func requestTrips(t *testing.T) map[kindred.Op]func(*kindred.Request) (*kindred.Request, *kindred.Error) {
	return map[kindred.Op]func(*kindred.Request) (*kindred.Request, *kindred.Error){
		kindred.OpGet: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParseGet(travel(t, api.FormatGet(r)))
		},
		kindred.OpPut: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParsePut(travel(t, api.FormatPut(r)))
		},
		kindred.OpDelete: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParseDelete(travel(t, api.FormatDelete(r)))
		},
		kindred.OpInspect: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParseInspect(travel(t, api.FormatInspect(r)))
		},
		kindred.OpStage: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParseStage(travel(t, api.FormatStage(r)))
		},
		kindred.OpRepair: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			return api.ParseRepairKey(travel(t, api.FormatInspect(r)))
		},
		kindred.OpScan: func(r *kindred.Request) (*kindred.Request, *kindred.Error) {
			q, _, err := api.ParseScan(travel(t, api.FormatScan(r, uint64(r.Scan.Limit))))
			return q, err
		},
	}
}

// filledRequests have every field set, but one of the two that exclude each other.
func filledRequests() [2]*kindred.Request {
	lasting, until := filled[kindred.Request](), filled[kindred.Request]()
	lasting.ExpiresAt, until.TTL = time.Time{}, 0
	return [2]*kindred.Request{lasting, until}
}

// A new field of Request that no message carries, or that some message
// garbles, fails here.
func TestEveryRequestFieldTravels(t *testing.T) {
	everywhere := map[string]bool{}
	for op, trip := range requestTrips(t) {
		for _, sent := range filledRequests() {
			sent.Op = op
			got, err := trip(sent)
			require.Nil(t, err)

			fields := map[string]bool{}
			carried(reflect.ValueOf(*got), "", fields)
			for path, set := range fields {
				everywhere[path] = everywhere[path] || set
				if set {
					require.Equal(t, at(sent, path), at(got, path), "%s of %s", path, op)
				}
			}
			again, err := trip(got)
			require.Nil(t, err)
			require.Equal(t, got, again, "%s: what arrived once arrives again", op)
		}
	}
	for path, set := range everywhere {
		require.True(t, set, "no message carries Request%s", path)
	}
}

// at is the field of v that a path of [carried] names.
func at(v any, path string) any {
	f := reflect.ValueOf(v).Elem()
	for name := range splitPath(path) {
		f = f.FieldByName(name)
	}
	return f.Interface()
}

func splitPath(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		start := 1
		for i := 1; i <= len(path); i++ {
			if i == len(path) || path[i] == '.' {
				if !yield(path[start:i]) {
					return
				}
				start = i + 1
			}
		}
	}
}

func TestCallsCarryTheirRequest(t *testing.T) {
	for _, op := range []kindred.Op{kindred.OpGet, kindred.OpPut, kindred.OpDelete} {
		sent := filledRequests()[0]
		sent.Op = op
		direct, err := requestTrips(t)[op](sent)
		require.Nil(t, err)

		call := travel(t, api.FormatCall(7, sent))
		require.EqualValues(t, 7, call.Id)
		got, err := api.ParseCall(call)
		require.Nil(t, err)
		require.Equal(t, direct, got)
	}
}

// A new field of Response that no message carries fails here.
func TestEveryResponseFieldTravels(t *testing.T) {
	trips := map[string]func(*kindred.Response) *kindred.Response{
		"get": func(r *kindred.Response) *kindred.Response {
			return api.ParseGetResponse(travel(t, api.FormatGetResponse(r)))
		},
		"put": func(r *kindred.Response) *kindred.Response {
			return api.ParsePutResponse(travel(t, api.FormatPutResponse(r)))
		},
		"delete": func(r *kindred.Response) *kindred.Response {
			return api.ParseDeleteResponse(travel(t, api.FormatDeleteResponse(r)))
		},
		"scan": func(r *kindred.Response) *kindred.Response {
			return api.ParseScanResponse(travel(t, api.FormatScanResponse(r)))
		},
		"inspect": func(r *kindred.Response) *kindred.Response {
			return api.ParseInspectResponse(travel(t, api.FormatInspectResponse(r)))
		},
		"stage": func(r *kindred.Response) *kindred.Response {
			return api.ParseStageResponse(travel(t, api.FormatStageResponse(r)))
		},
		"error": func(r *kindred.Response) *kindred.Response {
			return api.ParseResult(travel(t, api.FormatResult(1, kindred.OpPut, r)))
		},
	}
	everywhere := map[string]bool{}
	for name, trip := range trips {
		sent := filled[kindred.Response]()
		got := trip(sent)
		fields := map[string]bool{}
		carried(reflect.ValueOf(*got), "", fields)
		for path, set := range fields {
			everywhere[path] = everywhere[path] || set
			if set {
				require.Equal(t, at(sent, path), at(got, path), "%s of %s", path, name)
			}
		}
	}
	for path, set := range everywhere {
		require.True(t, set, "no message carries Response%s", path)
	}
}

func TestResultsCarryTheirResponse(t *testing.T) {
	for op, want := range map[kindred.Op]func(*kindred.Response) *kindred.Response{
		kindred.OpGet: func(r *kindred.Response) *kindred.Response { return api.ParseGetResponse(api.FormatGetResponse(r)) },
		kindred.OpPut: func(r *kindred.Response) *kindred.Response { return api.ParsePutResponse(api.FormatPutResponse(r)) },
		kindred.OpDelete: func(r *kindred.Response) *kindred.Response {
			return api.ParseDeleteResponse(api.FormatDeleteResponse(r))
		},
	} {
		sent := filled[kindred.Response]()
		sent.Err = nil
		result := travel(t, api.FormatResult(9, op, sent))
		require.EqualValues(t, 9, result.Id)
		require.Equal(t, want(sent), api.ParseResult(result), op.String())
	}
}

func TestEveryClusterAndLocalFieldTravels(t *testing.T) {
	c, l := filled[kindred.Cluster](), filled[kindred.Local]()
	gotCluster, gotLocal := api.ParseDescribe(travel(t, api.FormatDescribe(c, l)))
	require.Equal(t, *c, gotCluster)
	require.Equal(t, *l, gotLocal)
}

func TestEveryFieldOfChangesAndPlansTravels(t *testing.T) {
	c, p := filled[kindred.Changes](), filled[kindred.LayoutPlan]()
	require.Equal(t, *c, api.ParseChanges(travel(t, api.FormatChanges(c))))
	require.Equal(t, *p, api.ParsePlan(travel(t, api.FormatPlan(p))))
	order := []kindred.NodeChange{{Node: "n4", Intent: kindred.IntentOwn, Zone: "z1", Capacity: 7}, {Node: "n2", Intent: kindred.IntentRemove}}
	got, bad := api.ParseStageChanges(travel(t, api.FormatStageChanges(order)))
	require.Nil(t, bad)
	require.Equal(t, order, got)
}

// populate sets every field of a message, as fill does for our own words.
func populate(m protoreflect.Message, n *int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.ContainingOneof() != nil {
			continue // its callers choose the case
		}
		switch {
		case f.IsList():
			list := m.Mutable(f).List()
			for range 2 {
				if f.Kind() == protoreflect.MessageKind {
					populate(list.AppendMutable().Message(), n)
				} else {
					list.Append(scalar(f, n))
				}
			}
		case f.Kind() == protoreflect.MessageKind:
			populate(m.Mutable(f).Message(), n)
		default:
			m.Set(f, scalar(f, n))
		}
	}
}

func scalar(f protoreflect.FieldDescriptor, n *int) protoreflect.Value {
	*n++
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("text %d", *n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(fmt.Appendf(nil, "%016d", *n)) // the size of a request id
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(2)
	case protoreflect.Sint32Kind, protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(*n%kindred.ReplicasMax + 1))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(*n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(*n))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(*n))
	}
	panic("scalar knows no " + f.Kind().String())
}

func populated[M proto.Message](m M) M {
	n := 0
	populate(m.ProtoReflect(), &n)
	return m
}

// A new field of a message that our words do not hold fails here.
func TestEveryMessageFieldTravels(t *testing.T) {
	request := func(r *kindred.Request, err *kindred.Error) *kindred.Request {
		require.Nil(t, err)
		return r
	}
	for _, c := range []struct {
		sent  proto.Message
		again func(proto.Message) proto.Message
	}{
		{&pb.GetRequest{}, func(m proto.Message) proto.Message { return api.FormatGet(request(api.ParseGet(m.(*pb.GetRequest)))) }},
		{&pb.PutRequest{}, func(m proto.Message) proto.Message { return api.FormatPut(request(api.ParsePut(m.(*pb.PutRequest)))) }},
		{&pb.DeleteRequest{}, func(m proto.Message) proto.Message {
			return api.FormatDelete(request(api.ParseDelete(m.(*pb.DeleteRequest))))
		}},
		{&pb.InspectRequest{}, func(m proto.Message) proto.Message {
			return api.FormatInspect(request(api.ParseInspect(m.(*pb.InspectRequest))))
		}},
		{&pb.ScanRequest{}, func(m proto.Message) proto.Message {
			r, total, err := api.ParseScan(m.(*pb.ScanRequest))
			return api.FormatScan(request(r, err), total)
		}},
		{&pb.GetResponse{}, func(m proto.Message) proto.Message {
			return api.FormatGetResponse(api.ParseGetResponse(m.(*pb.GetResponse)))
		}},
		{&pb.PutResponse{}, func(m proto.Message) proto.Message {
			return api.FormatPutResponse(api.ParsePutResponse(m.(*pb.PutResponse)))
		}},
		{&pb.DeleteResponse{}, func(m proto.Message) proto.Message {
			return api.FormatDeleteResponse(api.ParseDeleteResponse(m.(*pb.DeleteResponse)))
		}},
		{&pb.ScanResponse{}, func(m proto.Message) proto.Message {
			return api.FormatScanResponse(api.ParseScanResponse(m.(*pb.ScanResponse)))
		}},
		{&pb.InspectResponse{}, func(m proto.Message) proto.Message {
			return api.FormatInspectResponse(api.ParseInspectResponse(m.(*pb.InspectResponse)))
		}},
		{&pb.DescribeResponse{}, func(m proto.Message) proto.Message {
			c, l := api.ParseDescribe(m.(*pb.DescribeResponse))
			return api.FormatDescribe(&c, &l)
		}},
		{&pb.ChangesResponse{}, func(m proto.Message) proto.Message {
			c := api.ParseChanges(m.(*pb.ChangesResponse))
			return api.FormatChanges(&c)
		}},
		{&pb.PlanResponse{}, func(m proto.Message) proto.Message {
			p := api.ParsePlan(m.(*pb.PlanResponse))
			return api.FormatPlan(&p)
		}},
		{&pb.Error{}, func(m proto.Message) proto.Message { return api.FormatError(api.ParseError(m.(*pb.Error))) }},
	} {
		sent := populated(c.sent)
		got := c.again(sent)
		require.True(t, proto.Equal(sent, got), "%s\nsent %v\ngot  %v", sent.ProtoReflect().Descriptor().Name(), sent, got)
	}
}

// The enums are converted by number where their order is the same; this holds
// them together.
func TestEnumsKeepTheOrderOfOurWords(t *testing.T) {
	words := func(e protoreflect.EnumDescriptor) (w []string) {
		for i := range e.Values().Len() {
			require.EqualValues(t, i, e.Values().Get(i).Number())
			w = append(w, string(e.Values().Get(i).Name()))
		}
		return w
	}
	require.Equal(t, []string{"DURABILITY_DEFAULT", "DURABILITY_MEMORY", "DURABILITY_BATCH", "DURABILITY_SYNC"},
		words(pb.Durability(0).Descriptor()))
	require.Equal(t, []kindred.Durability{0, 1, 2, 3},
		[]kindred.Durability{kindred.DurabilityDefault, kindred.Memory, kindred.Batch, kindred.Sync})
	require.Equal(t, []string{"STAGE_NONE", "STAGE_ACCEPTED", "STAGE_REPLICATED", "STAGE_PROPAGATED", "STAGE_SETTLED", "STAGE_AUDITED"},
		words(pb.Stage(0).Descriptor()))
	require.Equal(t, []kindred.Stage{0, 1, 2, 3, 4, 5}, []kindred.Stage{kindred.StageNone, kindred.Accepted,
		kindred.Replicated, kindred.Propagated, kindred.Settled, kindred.Audited})
}

func TestHoldingsTravel(t *testing.T) {
	sent := filled[kindred.Holdings]()
	got := api.ParseHoldingsResponse(travel(t, api.FormatHoldingsResponse(sent)))
	require.Equal(t, *sent, got)
	require.Equal(t, sent.Holdings, api.ParseHoldings(travel(t, api.FormatHoldings(sent.Holdings))))
}
