package report

import (
	"slices"
	"strings"

	"github.com/kindredkv/kindred/jepsen/checker"
)

// Involved are the nodes that a finding is about, in order of their names: the homes of
// the key, and those that clients asked before the end. The last reads ask everybody.
func (r *Run) Involved(p *Part, f checker.Finding) []string {
	nodes := slices.Clone(r.Homes[f.Object])
	for _, at := range f.Ops {
		if op := &p.History.Ops[at]; op.Node != "" && !op.Final {
			nodes = append(nodes, op.Node)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Replay are commands that show, step by step, what the nodes that a finding is about
// did with its key: those whose recordings are there. If none of them is known, it is
// everybody's.
func (r *Run) Replay(p *Part, f checker.Finding) (commands []string) {
	nodes := r.Involved(p, f)
	for _, rec := range r.Recordings {
		if len(nodes) == 0 || slices.Contains(nodes, rec.Node) {
			commands = append(commands, rec.Command()+" --key "+quoted(f.Object.Key))
		}
	}
	return commands
}

// Command plays the recording again.
func (r *Recording) Command() string { return "kvcli jepsen replay " + quoted(r.Dir) }

// quoted is a word for a shell.
func quoted(word string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_./:=@%+,", c)
	}
	if word != "" && strings.IndexFunc(word, func(c rune) bool { return !plain(c) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
