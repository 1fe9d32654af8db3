package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// metaFlags say what is stored beside a value.
type metaFlags struct {
	contentType, expiresAt string
	ttl                    time.Duration
}

func (f *metaFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.contentType, "content-type", "", "kind of the value, returned with it")
	c.Flags().DurationVar(&f.ttl, "ttl", 0, "let the value expire that long after the write, such as 90s or 24h")
	c.Flags().StringVar(&f.expiresAt, "expires-at", "", "let the value expire at a moment, such as 2030-01-31T12:00:00Z")
}

func (f *metaFlags) options(c *cobra.Command) ([]client.CallOption, error) {
	var out []client.CallOption
	if f.contentType != "" {
		out = append(out, client.ContentType(f.contentType))
	}
	switch {
	case c.Flags().Changed("ttl") && f.expiresAt != "":
		return nil, usageError{c, errors.New("--ttl and --expires-at exclude each other: give one of them")}
	case c.Flags().Changed("ttl"):
		if f.ttl < time.Millisecond {
			return nil, usageError{c, fmt.Errorf("--ttl %v: use at least 1ms, or leave it out for a value that stays", f.ttl)}
		}
		return append(out, client.TTL(f.ttl)), nil
	case f.expiresAt == "":
		return out, nil
	}
	at, err := time.Parse(time.RFC3339, f.expiresAt)
	if err != nil {
		return nil, usageError{c, fmt.Errorf("--expires-at %q is not a moment: write 2030-01-31T12:00:00Z", f.expiresAt)}
	}
	return append(out, client.ExpiresAt(at)), nil
}

// inherited are the options of a value that takes the place of others: what all
// of them agree on stays. It expires with the last of them, and not at all if one
// of them does not; otherwise a merge would make a value stay that nobody wanted
// to keep. Flags come after them and win.
func inherited(siblings []kindred.Sibling) []client.CallOption {
	if len(siblings) == 0 {
		return nil
	}
	contentType, last := siblings[0].ContentType, siblings[0].ExpiresAt
	for _, s := range siblings[1:] {
		if s.ContentType != contentType {
			contentType = ""
		}
		switch {
		case last.IsZero() || s.ExpiresAt.IsZero():
			last = time.Time{}
		case s.ExpiresAt.After(last):
			last = s.ExpiresAt
		}
	}
	var out []client.CallOption
	if contentType != "" {
		out = append(out, client.ContentType(contentType))
	}
	if !last.IsZero() {
		out = append(out, client.ExpiresAt(last))
	}
	return out
}

// overrides makes flags win over what was inherited: a request has a TTL or a
// moment, never both.
func overrides(c *cobra.Command) client.CallOption {
	return func(q *kindred.Request) {
		if c.Flags().Changed("ttl") {
			q.ExpiresAt = time.Time{}
		}
	}
}
