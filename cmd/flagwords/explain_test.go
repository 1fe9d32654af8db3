package flagwords

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"--timeout=5", "--timeout 5: 5 what? Give a unit, such as 5s or 5m"},
		{"--timeout=2.5", "--timeout 2.5: 2.5 what? Give a unit, such as 2.5s or 2.5m"},
		{"--timeout=3d", "--timeout 3d: there is no unit d: give hours, such as 24h"},
		{"--timeout=soon", "--timeout soon: use a number and a unit, such as 500ms, 2s or 24h, up to 2562047h"},
		{"--timeout=9999999h", "--timeout 9999999h: use a number and a unit, such as 500ms, 2s or 24h, up to 2562047h"},
		{"--timeout=", `--timeout "": use a number and a unit, such as 500ms, 2s or 24h, up to 2562047h`},
		{"--nodes=two", "--nodes two: use a whole number"},
		{"--nodes=two nodes", `--nodes "two nodes": use a whole number`},
		{"--weight=-1", "--weight -1: use a whole number from 0"},
		{"--sloppy=maybe", "--sloppy maybe: use true or false"},
		{"--ndoes=3", "unknown flag: --ndoes; did you mean --nodes?"},
		{"--quux", "unknown flag: --quux"},
		{"--timeout", "flag needs an argument: --timeout"},
	} {
		f := pflag.NewFlagSet("x", pflag.ContinueOnError)
		f.Duration("timeout", time.Second, "")
		f.Int("nodes", 1, "")
		f.Uint32("weight", 1, "")
		f.Bool("sloppy", true, "")
		err := Explain(f.Parse([]string{c.arg}), []string{"timeout", "nodes", "weight", "sloppy"})
		require.EqualError(t, err, c.want)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"nmae", "name", 2}} {
		require.Equal(t, c.want, distance(c.a, c.b), "%s %s", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}
