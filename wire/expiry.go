package wire

import "encoding/binary"

// TimeAsk asks a home replica what its wall clock shows: before a version is
// removed because it has expired, a majority of the homes must think so.
type TimeAsk struct {
	Head
	Op OpID
}

// TimeTell answers with milliseconds since 1970.
type TimeTell struct {
	Head
	Op   OpID
	Wall int64
}

func (*TimeAsk) kind() Kind  { return KindTimeAsk }
func (*TimeTell) kind() Kind { return KindTimeTell }

func (m *TimeAsk) appendBody(b []byte) []byte { return m.Op.appendTo(b) }

func (m *TimeTell) appendBody(b []byte) []byte { return binary.AppendVarint(m.Op.appendTo(b), m.Wall) }
