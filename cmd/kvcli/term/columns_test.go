package term

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestColumnsStandSideBySide(t *testing.T) {
	plain := func(s string) string { return s }
	mark := func(s string) string { return "*" + s + "*" }
	require.Equal(t, []string{
		"same   │ same",
		"*left*   │ *right*",
		"*a long* │ *short*",
		"* line*  │",
		"*alone*  │",
	}, Columns(15, [][]string{{"same", "left", "a long line", "alone"}, {"same", "right", "short"}}, plain, mark))
	require.Equal(t, []string{"é │ ü"}, Columns(5, [][]string{{"é"}, {"ü"}}, plain, plain), "letters count, not bytes")
	require.Equal(t, []string{"a │ b"}, Columns(0, [][]string{{"a"}, {"b"}}, plain, plain), "a letter is the least")
	require.Empty(t, Columns(80, [][]string{nil, nil}, plain, mark))
	require.Equal(t, 80, Width(&bytes.Buffer{}))
}
