package core

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{}.Bytes())
	f.Add(Cursor{Partition: 7, From: true, After: "k"}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCursor(b)
		if err == nil && len(b) > 0 {
			require.Equal(t, b, c.Bytes())
		}
	})
}
