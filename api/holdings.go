package api

import (
	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// ParseHoldings reads which write events to look for.
func ParseHoldings(m *pb.HoldingsRequest) []kindred.Holding { return each(m.GetOf(), parseHolding) }

// FormatHoldings is the inverse of [ParseHoldings].
func FormatHoldings(of []kindred.Holding) *pb.HoldingsRequest {
	return &pb.HoldingsRequest{Of: each(of, formatHolding)}
}

// FormatHoldingsResponse is the inverse of [ParseHoldingsResponse].
func FormatHoldingsResponse(h *kindred.Holdings) *pb.HoldingsResponse {
	return &pb.HoldingsResponse{Unknown: text(&h.Unknown), AtUnixMs: formatTime(h.At), Holdings: each(h.Holdings, formatHolding)}
}

// ParseHoldingsResponse reads what a node holds.
func ParseHoldingsResponse(m *pb.HoldingsResponse) kindred.Holdings {
	return kindred.Holdings{Unknown: m.GetUnknown(), At: parseTime(m.GetAtUnixMs()), Holdings: each(m.GetHoldings(), parseHolding)}
}

func formatHolding(h *kindred.Holding) *pb.Holding {
	return &pb.Holding{Partition: small(h.Partition), N: small(h.N), Guest: h.Guest, Dots: h.Dots, SinceUnixMs: formatTime(h.Since)}
}

func parseHolding(p **pb.Holding) kindred.Holding {
	h := *p
	return kindred.Holding{
		Partition: int(h.GetPartition()), N: int(h.GetN()), Guest: h.GetGuest(), Dots: h.GetDots(), Since: parseTime(h.GetSinceUnixMs()),
	}
}
