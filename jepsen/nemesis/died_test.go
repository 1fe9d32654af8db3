package nemesis

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLastWords: a panic stands above the stacks of all goroutines.
func TestLastWords(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for text, want := range map[string]string{
		"":                         "nothing",
		"up\nthe disk is full\n\n": "the disk is full",
		"up\npanic: our own law [recovered]\n\ngoroutine 1 [running]:\nmain.main()\n":    "panic: our own law [recovered]",
		"up\nfatal error: all goroutines are asleep\n\ngoroutine 1 [running]:\nmain()\n": "fatal error: all goroutines are asleep",
	} {
		require.NoError(t, os.WriteFile(log, []byte(text), 0o600))
		require.Equal(t, want, lastWords(log))
	}
	require.Contains(t, lastWords(filepath.Join(t.TempDir(), "none")), "no such file")
}
