package security

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// token is what is known of a token: whose it is, and its hash.
type token struct {
	name string
	sum  [sha256.Size]byte
}

// TokenLine is the line of the tokens' file for a token.
func TokenLine(name, secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return name + " " + hex.EncodeToString(sum[:]) + "\n"
}

// parseTokens reads lines of a name and a hash; # begins a comment.
func parseTokens(text []byte) ([]token, error) {
	var tokens []token
	err := eachLine(text, func(line string) error {
		name, digits, _ := strings.Cut(line, " ")
		sum, err := hex.DecodeString(strings.TrimSpace(digits))
		if err != nil || len(sum) != sha256.Size {
			return errors.New("want a name and the 64 hexadecimal digits of the token's SHA-256 (printf %s TOKEN | sha256sum)")
		}
		if len(tokens) == TokensMax {
			return fmt.Errorf("more than %d tokens, the limit", TokensMax)
		}
		tokens = append(tokens, token{name: name, sum: [sha256.Size]byte(sum)})
		return nil
	})
	return tokens, err
}

// holder is the name that goes with a token. It looks at every token in the
// same way (S5).
func holder(tokens []token, secret string) (name string, ok bool) {
	sum, found := sha256.Sum256([]byte(secret)), -1
	for i := range tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], tokens[i].sum[:]), i, found)
	}
	if found < 0 {
		return "", false
	}
	return tokens[found].name, true
}

// ReadToken reads a client's token from its file: the one line that it holds.
func ReadToken(path string) (string, error) {
	b, err := readFile(path)
	if err != nil {
		return "", &FileError{"token-file", path, err}
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" || strings.ContainsAny(secret, " \t\r\n") {
		return "", &FileError{"token-file", path, errors.New("want one line that holds the token and nothing else")}
	}
	return secret, nil
}

// ParseGossipKeys reads base64 keys, one per line.
func ParseGossipKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	err := eachLine(text, func(line string) error {
		key, err := base64.StdEncoding.DecodeString(line)
		switch {
		case err != nil:
			return fmt.Errorf("not base64: %w", err)
		case len(key) != 16 && len(key) != 24 && len(key) != 32:
			return fmt.Errorf("a key of %d bytes, want 16, 24 or 32 (openssl rand -base64 32)", len(key))
		case len(keys) == GossipKeysMax:
			return fmt.Errorf("more than %d keys, the limit: remove those that no node encrypts with", GossipKeysMax)
		}
		keys = append(keys, key)
		return nil
	})
	if err == nil && len(keys) == 0 {
		err = errors.New("it holds no key: write one, in base64 (openssl rand -base64 32)")
	}
	return keys, err
}

// eachLine skips empty lines and comments; errors name the line, never what it
// holds.
func eachLine(text []byte, do func(line string) error) error {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, FileBytesMax)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}
