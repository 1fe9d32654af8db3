package replica

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

const (
	contextForm = 1
	// contextHead is the form, the key's hash and the checksum.
	contextHead = 1 + 8 + 4
	// contextRoom is enough for an actor without gaps, as most are.
	contextRoom = 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeContext makes the opaque token that a client passes back with its next
// write. It is bound to the bucket and key: filled contexts speak of a whole
// partition, and on another key they would delete what nobody saw (R8, C17).
func EncodeContext(bucket, key string, seen vclock.DotSet) []byte {
	b := append(make([]byte, 0, contextHead+contextRoom*(1+seen.Actors())), contextForm)
	b = binary.BigEndian.AppendUint64(b, ring.Hash(bucket, key))
	b = append(b, 0, 0, 0, 0)
	b = seen.AppendTo(b)
	binary.BigEndian.PutUint32(b[9:], contextSum(b))
	return b
}

// DecodeContext reads a token for this very bucket and key. An empty token is
// an empty context.
func DecodeContext(bucket, key string, token []byte) (vclock.DotSet, *kindred.Error) {
	if len(token) == 0 {
		return vclock.DotSet{}, nil
	}
	if len(token) > kindred.ContextBytesMax {
		return vclock.DotSet{}, kindred.TooLarge("context", kindred.ContextBytesMax, len(token), "pass the context exactly as a read of this key returned it")
	}
	if len(token) < contextHead || token[0] != contextForm {
		return vclock.DotSet{}, badContext("the context is malformed: pass it exactly as a read of this key returned it")
	}
	if binary.BigEndian.Uint32(token[9:]) != contextSum(token) {
		return vclock.DotSet{}, badContext("the context is damaged: pass it exactly as a read of this key returned it")
	}
	if binary.BigEndian.Uint64(token[1:]) != ring.Hash(bucket, key) {
		return vclock.DotSet{}, badContext("the context belongs to another bucket or key: read %s/%q and pass the context of that read", bucket, key)
	}
	seen, rest, err := vclock.DecodeDotSet(token[contextHead:])
	if err != nil || len(rest) > 0 {
		return vclock.DotSet{}, badContext("the context is malformed: pass it exactly as a read of this key returned it")
	}
	return seen, nil
}

// contextSum is the checksum of a token, its own four bytes left out.
func contextSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:9], castagnoli), castagnoli, b[contextHead:])
}

func badContext(format string, args ...any) *kindred.Error {
	e := kindred.Invalid("context", format, args...)
	e.Code = kindred.CodeBadContext
	return e
}
