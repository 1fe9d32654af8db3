package workload

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/kindredkv/kindred/jepsen/history"
)

// Foreign stands for a value that no workload wrote, or that was damaged.
const Foreign = ^history.WriteID(0)

// Value is the content of one put: who wrote it, and the elements of the set,
// if it is one. Its bytes are readable, such as "7;3 5 7;d73f7872": the write,
// the set, and a checksum of both.
func Value(id history.WriteID, set []history.WriteID) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%d;", id)
	for i, e := range set {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.FormatUint(uint64(e), 10))
	}
	return fmt.Appendf(nil, "%s;%08x", b.String(), crc32.ChecksumIEEE([]byte(b.String())))
}

// ParseValue reads the bytes of Value.
func ParseValue(b []byte) (id history.WriteID, set []history.WriteID, err error) {
	parts := strings.Split(string(b), ";")
	if len(parts) != 3 {
		return 0, nil, fmt.Errorf("%.40q is not a value of a workload", b)
	}
	if id, err = parseID(parts[0]); err != nil {
		return 0, nil, err
	}
	for e := range strings.FieldsSeq(parts[1]) {
		element, err := parseID(e)
		if err != nil {
			return 0, nil, err
		}
		set = append(set, element)
	}
	if !slices.Equal(Value(id, set), b) {
		return 0, nil, fmt.Errorf("%.40q was damaged: its checksum differs", b)
	}
	return id, set, nil
}

func parseID(s string) (history.WriteID, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%.40q is not a write id", s)
	}
	return history.WriteID(id), nil
}

// union is all elements once, in order.
func union(a, b []history.WriteID) []history.WriteID {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
