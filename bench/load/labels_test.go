package load

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names at one height are moved apart wherever that is: a sum that was rounded down
// was taken for too near again and again.
func TestNamesAreMovedApart(t *testing.T) {
	for i := range 10_000 {
		y := 250 + float64(i)*0.0137
		var b strings.Builder
		labels{{y, "get", "#000"}, {y, "put", "#000"}, {y, "scan", "#000"}}.draw(&b)
		require.Equal(t, 3, strings.Count(b.String(), "<text"), y)
	}
}
