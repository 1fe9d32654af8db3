package ring

import (
	"encoding/binary"
	"slices"
)

// The limits of what a node knows of decisions.
const (
	// FilesMax limits the decisions that a node knows at once.
	FilesMax = 256
	// WaitingMax is the number of known decisions from which no more are committed, so
	// that FilesMax is not reached: that many wait for somebody who cannot be heard.
	WaitingMax = 32
)

// fileFormat is the version of the encoding of files, courseFormat that of courses.
const (
	fileFormat   = 1
	courseFormat = 1
)

// AppendTo appends the one binary form of a file:
//
//	flags 1 byte (1: formed) · its base, if it is formed ·
//	number of marks uvarint, per node by name: name, mark 1 byte
//	(1: held, 2: beyond, 4: complete, 8: the step, times 8) ·
//	length of the decision uvarint, the decision
//
// A version is its counter uvarint and its hash 8 bytes, big-endian.
func (f File) AppendTo(b []byte) []byte {
	if f.Formed {
		b = appendVersion(append(b, 1), f.Base)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(f.marks)))
	for _, name := range f.Marked() {
		b = append(appendString(b, name), f.marks[name].byte())
	}
	decision := f.Decision.AppendTo(nil)
	return append(binary.AppendUvarint(b, uint64(len(decision))), decision...)
}

func (m Mark) byte() byte {
	b := byte(m.Step) << 3
	for i, set := range [...]bool{m.Held, m.Beyond, m.Complete} {
		if set {
			b |= 1 << i
		}
	}
	return b
}

// AppendFiles appends the one binary form of what a node knows of decisions:
//
//	format 1 byte · number of files uvarint, the files in the order of versions
func AppendFiles(b []byte, files []File) []byte {
	b = binary.AppendUvarint(append(b, fileFormat), uint64(len(files)))
	for _, f := range files {
		b = f.AppendTo(b)
	}
	return b
}

// DecodeFiles reads what AppendFiles wrote, and nothing else. All files are of one
// cluster.
//
// Errors: *FormatError, *DecodeError, *LimitError, *NodeError, *MergeError.
func DecodeFiles(b []byte) ([]File, error) {
	r := &reader{bytes: b}
	files := r.files()
	r.end()
	return files, r.err
}

func (r *reader) files() (files []File) {
	if f := r.byte("format"); r.err == nil && f != fileFormat {
		r.err = &FormatError{Format: f}
	}
	for range r.uvarint("decisions", FilesMax) {
		f := r.file()
		if r.err == nil && len(files) > 0 {
			if last := files[len(files)-1].Decision; last.version.Compare(f.Decision.version) >= 0 {
				r.fail("decisions", "are not in order")
			} else if err := sameCluster(last.layout, f.Decision.layout); err != nil {
				r.err = err
			}
		}
		if r.err != nil {
			return nil
		}
		files = append(files, f)
	}
	return files
}

func (r *reader) file() (f File) {
	flags := r.byte("flags")
	if flags > 1 {
		r.fail("flags", "are unknown")
	}
	if f.Formed = flags == 1; f.Formed {
		f.Base = r.version()
	}
	f.marks = r.marks()
	at := r.at
	decision := r.take("decision", int(r.uvarint("decision", uint64(len(r.bytes)))))
	if r.err != nil {
		return File{}
	}
	if f.Decision, r.err = DecodeDecision(decision); r.err != nil {
		return File{}
	}
	if v := f.Decision.version; f.Formed && (f.Base.Counter == 0 || f.Base.Compare(v) > 0) {
		r.at = at
		r.fail("base", "does not come before the decision")
	}
	return f
}

func (r *reader) marks() (marks map[string]Mark) {
	last := ""
	for range r.uvarint("marks", StagedMax) {
		name, b := r.string("marked"), r.byte("mark")
		m := Mark{Held: b&1 != 0, Beyond: b&2 != 0, Complete: b&4 != 0, Step: Step(b >> 3)}
		switch {
		case r.err != nil:
			return nil
		case name <= last:
			r.fail("marked", "nodes are not in order")
		case b == 0 || m.Step > Alone:
			r.fail("mark", "is unknown")
		}
		if marks == nil {
			marks = map[string]Mark{}
		}
		marks[name], last = m, name
	}
	return marks
}

// AppendTo appends the one binary form of a course, for its owner to save:
//
//	format 1 byte · tip, the successor held, the decision that removed the node:
//	versions, zero for none · what AppendFiles writes
func (c *Course) AppendTo(b []byte) []byte {
	b = append(b, courseFormat)
	for _, v := range [...]Version{c.tip, c.vote, c.removed} {
		b = appendVersion(b, v)
	}
	return AppendFiles(b, c.Files())
}

// DecodeCourse restores the course of a node from what AppendTo wrote, and from nothing
// else.
//
// Errors: those of [DecodeFiles].
func DecodeCourse(self string, b []byte) (*Course, error) {
	r := &reader{bytes: b}
	if f := r.byte("format"); r.err == nil && f != courseFormat {
		return nil, &FormatError{Format: f}
	}
	c := &Course{self: self, files: map[Version]File{}, tip: r.version(), vote: r.version(), removed: r.version()}
	for _, f := range r.files() {
		c.files[f.Decision.version] = f
	}
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return c, c.check()
}

// check refuses what no course saves.
func (c *Course) check() error {
	vote := c.files[c.vote]
	switch {
	case !c.files[c.tip].Formed:
		return &DecodeError{Field: "tip", Reason: "is not formed"}
	case c.vote != Version{} && (vote.Decision == nil || vote.Decision.parent != c.tip || !vote.marks[c.self].Held):
		return &DecodeError{Field: "successor", Reason: "is not held"}
	case c.removed != Version{} && !c.files[c.removed].Formed:
		return &DecodeError{Field: "removed", Reason: "is by no decision that is formed"}
	}
	return nil
}

// File is what is known of one decision, if anything is.
func (c *Course) File(v Version) (File, bool) {
	f, known := c.files[v]
	return f, known
}

// Voters lists who all have to hold a successor of the tip before it is used.
func (c *Course) Voters(d *Decision) []string { return slices.Clone(c.voters(d)) }
