package history

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// keyword is such as :ok, without the colon.
type keyword string

// edn is a reader of what histories need of EDN, written from its specification
// (edn-format) and not from the writer: nil, booleans, integers, strings, keywords,
// vectors and maps of keywords, commas as blanks. It fails the test at anything else.
type edn struct {
	t    testing.TB
	text string
}

// readEDN reads all values of a text.
func readEDN(t testing.TB, text string) (values []any) {
	r := &edn{t, text}
	for r.skip(); r.text != ""; r.skip() {
		values = append(values, r.value())
	}
	return values
}

func (r *edn) skip() { r.text = strings.TrimLeft(r.text, " \t\r\n,") }

func (r *edn) value() any {
	switch c := r.text[0]; c {
	case '{':
		m := map[keyword]any{}
		items := r.items('}')
		require.Zero(r.t, len(items)%2, "a map has a value for every key")
		for i := 0; i < len(items); i += 2 {
			k := items[i].(keyword)
			require.NotContains(r.t, m, k)
			m[k] = items[i+1]
		}
		return m
	case '[':
		return r.items(']')
	case '"':
		return r.quoted()
	}
	end := strings.IndexAny(r.text, " \t\r\n,{}[]\"")
	if end < 0 {
		end = len(r.text)
	}
	word := r.text[:end]
	r.text = r.text[end:]
	return r.word(word)
}

func (r *edn) items(end byte) []any {
	items := []any{}
	r.text = r.text[1:]
	for r.skip(); r.text[0] != end; r.skip() {
		items = append(items, r.value())
	}
	r.text = r.text[1:]
	return items
}

func (r *edn) quoted() string {
	var b strings.Builder
	for i := 1; ; i++ {
		switch c := r.text[i]; c {
		case '"':
			r.text = r.text[i+1:]
			return b.String()
		case '\\':
			i++
			plain, known := map[byte]byte{'\\': '\\', '"': '"', 'n': '\n', 'r': '\r', 't': '\t'}[r.text[i]]
			require.True(r.t, known, "escape \\%c", r.text[i])
			b.WriteByte(plain)
		default:
			b.WriteByte(c)
		}
	}
}

func (r *edn) word(word string) any {
	switch {
	case word == "nil":
		return nil
	case word == "true", word == "false":
		return word == "true"
	case word[0] == ':':
		require.Greater(r.t, len(word), 1)
		return keyword(word[1:])
	}
	digits, isBig := strings.CutSuffix(word, "N")
	n, ok := new(big.Int).SetString(digits, 10)
	require.True(r.t, ok, "%q is no number", word)
	require.True(r.t, isBig || n.IsInt64(), "%q does not fit into 64 bits with a sign", word)
	return fmt.Sprint(n)
}
