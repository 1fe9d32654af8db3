package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/recording"
)

// replayFlags choose what is printed of a recording.
type replayFlags struct {
	from, to, step int64
	steps          bool
	key            string
}

func (a *app) jepsenReplay() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use: "replay FILE", Short: "Play the recording of a node again, step by step", Args: cobra.ExactArgs(1),
		Long: `Replay gives new shards what those of a node were given while it ran with --record:
requests, messages, what the disk answered, each at its time. They run in this
process, without disk, network or clock, and have to do what the node did, effect for
effect; the first step that differs is named.

FILE is a file of a recording, which stands for all files of its shard and start, or
the folder that holds them, for all shards and starts. A recording whose beginning
was dropped cannot be replayed: its steps are shown as they came in, without what
came of them. A file that breaks off, as one of a node that was killed may, is played
up to there. What is in the folder and cannot be read is named.

--steps, --step, --from, --to and --key print steps: the number, the time since the
recording began, what came in and, below it, what the shard did. A recording holds
keys and values; what is printed has keys, and no values.

Exit code 7: a step differs, a step or a file is damaged, or the shard panics. Exit
code 6: a recording has lost its beginning, or is missing.`,
		Example: `  kvcli jepsen replay recordings
  kvcli jepsen replay recordings/n1-000003-5e0f11aa-000-000001.rec --key alice
  kvcli jepsen replay recordings/n1-000003-5e0f11aa-000-000001.rec --from 1200 --to 1250`,
		RunE: func(cmd *cobra.Command, args []string) error {
			show, err := f.shows(cmd)
			if err != nil {
				return err
			}
			return a.replay(cmd.Context(), args[0], show)
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.steps, "steps", false, "print every step")
	flags.Int64Var(&f.step, "step", 0, "print this step")
	flags.Int64Var(&f.from, "from", 0, "print steps from this one on")
	flags.Int64Var(&f.to, "to", 0, "print steps up to this one")
	flags.StringVar(&f.key, "key", "", "print the steps that concern this key, of any bucket")
	return c
}

// stepsShown says which steps are printed.
type stepsShown struct {
	any      bool
	from, to uint64
	key      string
}

func (f *replayFlags) shows(cmd *cobra.Command) (s stepsShown, err error) {
	given := cmd.Flags().Changed
	if f.from < 0 || f.to < 0 || f.step < 0 {
		return s, usageError{cmd, errors.New("steps are counted from 0")}
	}
	if given("step") && (given("from") || given("to") || f.steps) {
		return s, usageError{cmd, errors.New("--step is one step, --steps, --from and --to are many: give one or the other")}
	}
	if given("to") && f.to < f.from {
		return s, usageError{cmd, fmt.Errorf("--to %d is before --from %d", f.to, f.from)}
	}
	s = stepsShown{any: f.steps || given("step") || given("from") || given("to") || given("key"), to: math.MaxUint64, key: f.key}
	switch {
	case given("step"):
		s.from, s.to = uint64(f.step), uint64(f.step)
	default:
		s.from = uint64(f.from)
		if given("to") {
			s.to = uint64(f.to)
		}
	}
	return s, nil
}

func (s *stepsShown) wants(step uint64, e *recording.Event, out *recording.Outcome) bool {
	if !s.any || step < s.from || step > s.to {
		return false
	}
	return s.key == "" || e.Concerns(s.key) || out.Concerns(s.key)
}

// replayDoc is what "jepsen replay -o json" prints.
type replayDoc struct {
	Recordings []recordingDoc `json:"recordings"`
	LeftOut    []leftOutDoc   `json:"left_out"`
}

// leftOutDoc is a file of which it cannot be said what it holds. A torn one ends within
// its header, as one may that was just begun when its node was killed.
type leftOutDoc struct {
	File    string `json:"file"`
	Problem string `json:"problem"`
	Torn    bool   `json:"torn"`
}

// recordingDoc is one shard of one start.
type recordingDoc struct {
	Node    string `json:"node"`
	Version string `json:"version"`
	Start   uint64 `json:"start"`
	Shard   int    `json:"shard"`
	Began   string `json:"began"`
	Files   int    `json:"files"`
	// First is the first step that is there, Steps how many are.
	First uint64 `json:"first"`
	Steps uint64 `json:"steps"`
	// Seconds is the time of the last step.
	Seconds float64 `json:"seconds"`
	// Verdict is exact, headless, missing, differs, damaged or panics. Sum is of all that
	// came out.
	Verdict string `json:"verdict"`
	Sum     string `json:"sum"`
	// Torn: the last file breaks off within a step.
	Torn bool `json:"torn"`
	// Step and Problem say where and why it is not exact.
	Step    uint64    `json:"step"`
	Problem string    `json:"problem"`
	Shown   []stepDoc `json:"shown"`
	// named: its steps are being printed, below its name.
	named bool
}

type stepDoc struct {
	Step    uint64   `json:"step"`
	Seconds float64  `json:"seconds"`
	Kind    string   `json:"kind"`
	In      string   `json:"in"`
	Out     []string `json:"out"`
}

// The verdicts.
const (
	playsExact    = "exact"
	playsHeadless = "headless"
	playsMissing  = "missing"
	playsOther    = "differs"
	playsDamaged  = "damaged"
	playsToPanic  = "panics"
)

// replay plays what is at path and says how it went.
func (a *app) replay(ctx context.Context, path string, show stepsShown) error {
	tapes, left, err := findTapes(path)
	if err != nil {
		return err
	}
	doc := replayDoc{Recordings: []recordingDoc{}, LeftOut: left}
	for _, t := range tapes {
		d, err := a.replayOne(ctx, t, show)
		if err != nil {
			return err
		}
		doc.Recordings = append(doc.Recordings, d)
	}
	if err := a.print(doc, doc.write); err != nil {
		return err
	}
	if show.any && !slices.ContainsFunc(doc.Recordings, func(d recordingDoc) bool { return d.named }) {
		a.note("There is no such step.")
	}
	return doc.result()
}

// result is how the command ends.
func (doc *replayDoc) result() error {
	var bad, cut, damaged int
	for _, d := range doc.Recordings {
		switch d.Verdict {
		case playsExact:
		case playsHeadless, playsMissing:
			cut++
		default:
			bad++
		}
	}
	for _, l := range doc.LeftOut {
		if !l.Torn {
			damaged++
		}
	}
	of := counted(len(doc.Recordings), "recording", "recordings")
	switch {
	case bad > 0:
		return &result{exit: exitBroken, code: "differs", message: fmt.Sprintf("%d of %s did not play to the end as recorded", bad, of)}
	case damaged > 0:
		return &result{exit: exitBroken, code: "damaged", message: counted(damaged, "file cannot be read, and was", "files cannot be read, and were") + " left out"}
	case cut > 0:
		return &result{exit: exitUnavailable, code: "headless", message: fmt.Sprintf("%d of %s lost their beginning, or all: what is left can be shown, not played", cut, of)}
	}
	return nil
}

// replayOne plays one shard, or shows its steps if its beginning is gone.
func (a *app) replayOne(ctx context.Context, t tape, show stepsShown) (recordingDoc, error) {
	h := t.header
	d := recordingDoc{
		Node: h.Node, Version: h.Version, Start: h.Start, Shard: h.Shard, Began: moment(h.Began), Files: len(t.files),
		First: h.First, Verdict: playsExact, Shown: []stepDoc{},
	}
	if len(t.files) == 0 {
		d.Verdict, d.Problem = playsMissing, fmt.Sprintf("no file of it is here, of a start with %s", counted(h.Shards, "shard", "shards"))
		return d, nil
	}
	player, err := recording.NewPlayer(h)
	if err != nil {
		d.Verdict, d.Problem = playsHeadless, fmt.Sprintf("its first %d steps were dropped: what is left is shown, not played", h.First)
	}
	next := h.First
	for i, f := range t.files {
		if gap := f.gap(next); gap != "" {
			d.fail(playsDamaged, next, gap)
			break
		}
		if next, err = a.replayFile(ctx, f, player, show, &d, i == len(t.files)-1); err != nil {
			return d, err
		}
		if d.Verdict != playsExact && d.Verdict != playsHeadless || d.Torn {
			break
		}
	}
	d.Steps = next - h.First
	if player != nil {
		d.Sum = fmt.Sprintf("%016x", uint64(player.Sum()))
	}
	return d, nil
}

func (d *recordingDoc) fail(verdict string, step uint64, problem string) {
	d.Verdict, d.Step, d.Problem = verdict, step, problem
}

// replayFile plays one file and returns the step after its last.
func (a *app) replayFile(ctx context.Context, f tapeFile, player *recording.Player, show stepsShown, d *recordingDoc, last bool) (next uint64, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	r, err := recording.NewReader(file)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", f.path, err)
	}
	for {
		step, e, err := r.Next()
		if err == nil {
			err = ctx.Err() // somebody has had enough
		}
		switch {
		case err == io.EOF:
			return step, nil
		case errors.Is(err, recording.ErrTorn) && last:
			d.Torn = true
			return step, nil
		case errors.Is(err, recording.ErrTorn), errors.Is(err, recording.ErrDamaged):
			d.fail(playsDamaged, step, fmt.Sprintf("%s: step %d: %v", filepath.Base(f.path), step, err))
			return step, nil
		case err != nil:
			return step, fmt.Errorf("%s: %w", f.path, err)
		}
		var out recording.Outcome
		if player != nil {
			out, err = player.Play(e)
		}
		d.Seconds = e.At.Seconds()
		if show.wants(step, e, &out) {
			a.showStep(d, stepDoc{Step: step, Seconds: e.At.Seconds(), Kind: e.Kind.String(), In: e.Text(), Out: append([]string{}, out.Lines...)})
		}
		if err != nil {
			d.blame(err, step)
			return step, nil
		}
	}
}

// showStep prints a step at once, for people: there may be millions. A document has
// them all.
func (a *app) showStep(d *recordingDoc, s stepDoc) {
	if a.output == asJSON {
		d.Shown = append(d.Shown, s)
		return
	}
	if !d.named {
		d.named = true
		fmt.Fprintf(a.out, "%s, start %d, shard %d, began %s\n", d.Node, d.Start, d.Shard, d.Began)
	}
	fmt.Fprintf(a.out, "%8d  %12.6f s  %s\n", s.Step, s.Seconds, s.In)
	for _, line := range s.Out {
		fmt.Fprintf(a.out, "%26s%s\n", "", line)
	}
}

// blame notes why a step did not do what it did.
func (d *recordingDoc) blame(err error, step uint64) {
	var diverged *recording.DivergedError
	var panicked *recording.PanicError
	switch {
	case errors.As(err, &diverged):
		d.fail(playsOther, diverged.Step, diverged.Why)
		if v := buildVersion().Version; v != d.Version {
			d.Problem += fmt.Sprintf(" (it was recorded by version %s, this is %s)", d.Version, v)
		}
	case errors.As(err, &panicked):
		d.fail(playsToPanic, step, panicked.Value+"\n"+panicked.Stack)
	default:
		d.fail(playsOther, step, err.Error())
	}
}

// write is the table for people.
func (doc replayDoc) write(w io.Writer) error {
	t := table{header: []string{"NODE", "START", "SHARD", "FILES", "STEPS", "TIME", "REPLAY"}}
	for _, d := range doc.Recordings {
		t.add(plainCells(d.Node, fmt.Sprint(d.Start), fmt.Sprint(d.Shard), fmt.Sprint(d.Files), fmt.Sprint(d.Steps),
			time.Duration(d.Seconds*float64(time.Second)).Round(time.Millisecond).String(), d.verdict())...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, l := range doc.LeftOut {
		if _, err := fmt.Fprintf(w, "%s was left out: %s\n", l.File, l.Problem); err != nil {
			return err
		}
	}
	return nil
}

func (d *recordingDoc) verdict() string {
	text := d.Verdict
	switch d.Verdict {
	case playsExact:
		text += ", sum " + d.Sum
	case playsHeadless, playsMissing:
		text += ": " + d.Problem
	default:
		text += fmt.Sprintf(" in step %d: %s", d.Step, d.Problem)
	}
	if d.Torn {
		text += "; the last step is torn and was left out"
	}
	return text
}
