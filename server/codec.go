package server

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped here
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// codec is gRPC's own, except that it counts the calls of a pipeline message
// before it decodes them: an empty call is two bytes on the wire and fifty times
// that in memory; and that it knows answers that are counted.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if p, ok := v.(*parcel); ok {
		return p.encode()
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*pb.PipelineRequest)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	if n := countFields(b.ReadOnlyData(), kindred.BatchMax); n > kindred.BatchMax {
		return fmt.Errorf("a pipeline message holds more than %d calls, the limit: split it", kindred.BatchMax)
	}
	return proto.Unmarshal(b.ReadOnlyData(), m)
}

// countFields counts the top-level fields of a message, up to one more than max.
// It leaves malformed ones to the decoder.
func countFields(b []byte, max int) int {
	n := 0
	for len(b) > 0 && n <= max {
		_, _, size := protowire.ConsumeField(b)
		if size < 0 {
			break
		}
		b = b[size:]
		n++
	}
	return n
}
