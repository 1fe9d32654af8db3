package contest

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/loop"
)

func TestKeys(t *testing.T) {
	name := fresh("new")
	require.Equal(t, []string{"new1", "new2"}, []string{name(), name()})
	require.Equal(t, there(7), there(7+keys), "gets go round")
}

func TestFillStoresEveryKeyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		stored, early := map[string]int{}, 3
		err := fill(t.Context(), 500, func(_ context.Context, caller int, key string) error {
			mu.Lock()
			defer mu.Unlock()
			require.Less(t, caller, Callers)
			if early > 0 {
				early--
				return errors.New("no leader yet")
			}
			stored[key]++
			return nil
		})
		require.NoError(t, err)
		require.Len(t, stored, 500)
		for key, times := range stored {
			require.Equal(t, 1, times, key)
		}
	})
}

func TestFillGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		err := fill(t.Context(), 5, func(context.Context, int, string) error { return errors.New("disk is full") })
		require.ErrorContains(t, err, "disk is full")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestMetric(t *testing.T) {
	const text = "# HELP a b\na_total 7\na 3.5\n"
	got, err := metric(strings.NewReader(text), "a")
	require.NoError(t, err)
	require.Equal(t, 3.5, got)
	_, err = metric(strings.NewReader(text), "b")
	require.ErrorContains(t, err, "no b")
}

func TestCloseEndsProcesses(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no sleep on this system")
	}
	c := &Contestant{Name: "sleeper"}
	require.NoError(t, c.start(t.TempDir(), "sleep", sleep, "3600"))
	cmd := exec.Command(sleep, "3600")
	require.NoError(t, c.run(cmd))
	require.Len(t, c.PIDs, 2)
	c.Close()
	require.NotNil(t, cmd.ProcessState, "it was waited for")
}

func TestRedisVersion(t *testing.T) {
	require.Equal(t, "Redis server v=7.0.15", redisVersion("Redis server v=7.0.15 sha=00000000:0 bits=64"))
	require.Equal(t, "Redis 99", redisVersion("Redis 99"))
}

func TestQuestionsHaveNamesOfTheirOwn(t *testing.T) {
	c := &Contestant{Name: "x"}
	op := func(context.Context, int, int64) error { return nil }
	c.ask("put", 64, "all", op)
	c.askOpen("put", "x/put@64", "all", op)
	require.Equal(t, "x/put@64", c.Questions[0].Name)
	require.Equal(t, "x/put@open", c.Questions[1].Name)
	require.Equal(t, loop.OpenCallers, c.Questions[1].Callers)
}
