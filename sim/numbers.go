package sim

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Numbers are some of 1, 2, 3, …: runs in ascending order that do not touch.
type Numbers []NumberRun

// NumberRun is all numbers from Lo to Hi.
type NumberRun struct{ Lo, Hi uint64 }

// allNumbers leaves none out.
func allNumbers() Numbers { return Numbers{{1, math.MaxUint64}} }

func numbersOf(list []uint64) (n Numbers) {
	for _, x := range list {
		n.add(x)
	}
	return n
}

func (n Numbers) isAll() bool { return len(n) == 1 && n[0] == allNumbers()[0] }

func (n Numbers) has(x uint64) bool {
	for _, r := range n {
		if x <= r.Hi {
			return x >= r.Lo
		}
	}
	return false
}

// add takes a number above all that are there.
func (n *Numbers) add(x uint64) {
	if last := len(*n) - 1; last >= 0 && (*n)[last].Hi == x-1 {
		(*n)[last].Hi = x
		return
	}
	*n = append(*n, NumberRun{x, x})
}

func (n Numbers) count() (all int) {
	for _, r := range n {
		all += int(r.Hi - r.Lo + 1)
	}
	return all
}

// list is not for allNumbers.
func (n Numbers) list() []uint64 {
	list := make([]uint64, 0, n.count())
	for _, r := range n {
		for x := r.Lo; x <= r.Hi; x++ {
			list = append(list, x)
		}
	}
	return list
}

// String is such as "1-7+9".
func (n Numbers) String() string {
	var b strings.Builder
	for i, r := range n {
		if i > 0 {
			b.WriteByte('+')
		}
		fmt.Fprint(&b, r.Lo)
		if r.Hi > r.Lo {
			fmt.Fprintf(&b, "-%d", r.Hi)
		}
	}
	return b.String()
}

func parseNumbers(text string) (n Numbers, err error) {
	for part := range strings.SplitSeq(text, "+") {
		first, last, isRun := strings.Cut(part, "-")
		if !isRun {
			last = first
		}
		lo, bad := strconv.ParseUint(first, 10, 64)
		hi, wrong := strconv.ParseUint(last, 10, 64)
		if bad != nil || wrong != nil || lo == 0 || hi < lo || len(n) > 0 && lo <= n[len(n)-1].Hi {
			return nil, fmt.Errorf("%q are not ascending numbers such as 1-7+9", text)
		}
		if len(n) > 0 && n[len(n)-1].Hi == lo-1 {
			n[len(n)-1].Hi = hi
			continue
		}
		n = append(n, NumberRun{lo, hi})
	}
	return n, nil
}
