package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A part is said in one line, and read again as what it was.
func TestAPartIsALine(t *testing.T) {
	text := "end=812ms nodes=3 keys=1 plain=limits,skew incidents=cut:3+7-9,kill,lost:1 clients=0:1-7+9,2"
	p, err := ParsePart(text)
	require.NoError(t, err)
	require.Equal(t, text, p.String())
	require.Equal(t, Part{
		End: 812 * time.Millisecond, Nodes: 3, Keys: 1, Plain: []string{"limits", "skew"},
		Incidents: map[Incident]Numbers{IncidentCut: {{3, 3}, {7, 9}}, IncidentKill: allNumbers(), IncidentLost: {{1, 1}}},
		Clients:   map[int]Numbers{0: {{1, 7}, {9, 9}}, 2: allNumbers()},
	}, p)

	empty, err := ParsePart("incidents=none clients=none")
	require.NoError(t, err)
	require.Equal(t, Part{Incidents: map[Incident]Numbers{}, Clients: map[int]Numbers{}}, empty)
	require.Equal(t, "incidents=none clients=none", empty.String())

	all, err := ParsePart("")
	require.NoError(t, err)
	require.Equal(t, Part{}, all)
}

func TestPartsThatMakeNoSense(t *testing.T) {
	for text, want := range map[string]string{
		"end=5":              "missing unit",
		"end=-1s":            "not negative",
		"nodes=1":            "2 nodes are needed",
		"keys=many":          "invalid syntax",
		"plain=shards,nice":  `"nice" cannot be plain`,
		"incidents=flood":    `"flood" is no incident`,
		"incidents=cut:0":    "ascending numbers",
		"incidents=cut:7-3":  "ascending numbers",
		"incidents=cut:3+3":  "ascending numbers",
		"clients=a:1":        "invalid syntax",
		"faults=cut":         `there is no "faults"`,
		"incidents=kill:1,,": `"" is no incident`,
	} {
		_, err := ParsePart(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestNumbersAreRuns(t *testing.T) {
	n := numbersOf([]uint64{1, 2, 3, 7, 9, 10})
	require.Equal(t, "1-3+7+9-10", n.String())
	require.Equal(t, 6, n.count())
	require.Equal(t, []uint64{1, 2, 3, 7, 9, 10}, n.list())
	for x := range uint64(12) {
		require.Equal(t, slices.Contains(n.list(), x), n.has(x), x)
		require.Equal(t, x > 0, allNumbers().has(x), x)
		require.False(t, Numbers(nil).has(x))
	}
	joined, err := parseNumbers("1-3+4+9-10")
	require.NoError(t, err)
	require.Equal(t, Numbers{{1, 4}, {9, 10}}, joined)
}

// What happened in a run is a part that gives the same run, and what is left out does
// not happen.
func TestWhatHappenedIsTheSameRun(t *testing.T) {
	for seed := range uint64(3) {
		whole := Run(seed+1, Options{})
		kept, err := ParsePart(whole.Kept.String())
		require.NoError(t, err)
		require.Equal(t, whole.Kept, kept)
		again := Play(seed+1, kept.Of(Draw(seed+1)), Options{})
		require.Equal(t, whole.Hash, again.Hash)
		require.Equal(t, whole.Kept, again.Kept)
	}
	quiet := Part{Incidents: map[Incident]Numbers{}, Clients: map[int]Numbers{1: {{2, 4}}}}
	r := Play(1, quiet.Of(Draw(1)), Options{})
	require.Nil(t, r.Finding)
	require.Equal(t, 3, r.Operations)
	require.Zero(t, r.Faults.Total())
	require.Equal(t, map[int]Numbers{1: {{2, 4}}}, r.Kept.Clients)
	require.Empty(t, r.Kept.Incidents)
}

// Faults that come at their own times are the same ones whatever else is left out.
func TestFaultsKeepTheirNumbers(t *testing.T) {
	cfg := Draw(1)
	cfg.Fault = Faults{Cut: time.Second, CutFor: time.Second, Kill: 700 * time.Millisecond, KillFor: time.Second, Pause: 900 * time.Millisecond}
	cfg.Storm = 10 * time.Second
	cuts := func(p Part) (at []string) {
		Play(1, p.Of(cfg), Options{Log: func(line string) {
			if len(line) > 16 && line[13:16] == "cut" {
				at = append(at, line[:12])
			}
		}})
		return at
	}
	all := cuts(Part{})
	require.Greater(t, len(all), 4)
	some := cuts(Part{Incidents: map[Incident]Numbers{IncidentCut: {{2, 2}, {4, 4}}}, Clients: map[int]Numbers{}})
	require.Equal(t, []string{all[1], all[3]}, some)
}

// Sound code has no finding where settings are plain either: a shrunk run is no proof
// if the simulator itself cannot bear it.
func TestPlainSettingsBreakNothing(t *testing.T) {
	for i, setting := range plains {
		seed := uint64(i + 1)
		r := Play(seed, Part{Plain: []string{setting.name}}.Of(Draw(seed)), Options{Events: 20})
		require.Nil(t, r.Finding, "seed %d with plain %s", seed, setting.name)
	}
	var names []string
	for _, setting := range plains {
		names = append(names, setting.name)
	}
	for seed := uint64(1); seed <= 4; seed++ {
		r := Play(seed, Part{Plain: names, Nodes: 3, Keys: 2}.Of(Draw(seed)), Options{Events: 20})
		require.Nil(t, r.Finding, "seed %d with everything plain", seed)
	}
}
