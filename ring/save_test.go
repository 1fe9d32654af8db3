package ring

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	goldenFiles  = "testdata/files-1.hex"
	goldenCourse = "testdata/course-1.hex"
)

// someCourse is a node in the middle of one change that holds the next.
func someCourse(t require.TestingT) *Course {
	first := First(goldenLayout(t))
	name := first.layout.members[0].Name
	c := NewCourse(name, first)
	s := mustStage(t, Staging{}, name, first, Node{"eve", "north", 2}, Own)
	next, err := c.Propose(s, false)
	require.NoError(t, err)
	f := File{Decision: next}
	for _, n := range first.layout.members {
		f = f.with(n.Name, Mark{Held: true})
	}
	require.True(t, c.Hear([]File{f.with("eve", Mark{Complete: true})}))
	for c.Turn() {
		continue
	}
	require.Equal(t, next.version, c.Tip().version)
	s = mustStage(t, s, name, next, Node{Name: first.layout.members[1].Name}, Remove)
	next, err = c.Propose(s, true)
	require.NoError(t, err)
	require.NoError(t, c.Commit(next))
	return c
}

// What is on disks and between nodes is to stay readable, and a node goes on exactly
// where it was.
func TestGoldenBytesOfFilesAndCourses(t *testing.T) {
	c := someCourse(t)
	golden(t, goldenFiles, AppendFiles(nil, c.Files()))
	files, err := DecodeFiles(AppendFiles(nil, c.Files()))
	require.NoError(t, err)
	require.Equal(t, c.Files(), files)

	golden(t, goldenCourse, c.AppendTo(nil))
	again, err := DecodeCourse(c.self, c.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, c, again)
	require.NotNil(t, again.Holds())
	require.Equal(t, c.Phase(), again.Phase())
}

func TestEveryTruncationOfFilesAndCoursesIsRefused(t *testing.T) {
	c := someCourse(t)
	for b := AppendFiles(nil, c.Files()); len(b) > 0; {
		b = b[:len(b)-1]
		_, err := DecodeFiles(b)
		requireTyped(t, err)
	}
	for b := c.AppendTo(nil); len(b) > 0; {
		b = b[:len(b)-1]
		_, err := DecodeCourse(c.self, b)
		requireTyped(t, err)
	}
	_, err := DecodeFiles(append(AppendFiles(nil, c.Files()), 0))
	requireTyped(t, err)
	_, err = DecodeCourse(c.self, append(c.AppendTo(nil), 0))
	requireTyped(t, err)
}

// What no node saves is no course: it would hold what it has not, or go by what nobody
// may.
func TestCoursesThatCannotBeAreRefused(t *testing.T) {
	for why, spoil := range map[string]func(*Course){
		"tip":        func(c *Course) { c.tip = c.vote },
		"not formed": func(c *Course) { c.tip, c.vote = c.vote, Version{} },
		"no tip":     func(c *Course) { c.tip = Version{9, 9} },
		"successor":  func(c *Course) { c.vote = c.tip },
		"vote lost":  func(c *Course) { c.self = "dee" },
		"removed":    func(c *Course) { c.removed = c.vote },
		"base": func(c *Course) {
			f := c.files[c.tip]
			f.Base = Version{}
			c.files[c.tip] = f
		},
		"mark": func(c *Course) { c.files[c.tip].marks["eve"] = Mark{} },
	} {
		c := someCourse(t)
		spoil(c)
		_, err := DecodeCourse(c.self, c.AppendTo(nil))
		require.Error(t, err, why)
	}
}

func TestFilesOfTwoClustersAreRefused(t *testing.T) {
	one := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	layout, err := New([16]byte{0xff}, 8, 2, cluster(3, 1, equal))
	require.NoError(t, err)
	files := []File{{Decision: one}, {Decision: First(layout)}}
	slices.SortFunc(files, func(f, g File) int { return f.Decision.version.Compare(g.Decision.version) })
	_, err = DecodeFiles(AppendFiles(nil, files))
	var mixed *MergeError
	require.ErrorAs(t, err, &mixed)
}

func TestAMillionLayoutsAreNotWaitedFor(t *testing.T) {
	c := three(t)
	ant := c.courses["ant"]
	for ant.files[ant.vote].Decision == nil || len(ant.files) < WaitingMax {
		require.NoError(t, c.commit(t, "ant", Node{"dog", "", uint32(1 + len(ant.files))}, Own))
	}
	require.ErrorContains(t, c.commit(t, "ant", Node{"dog", "", 99}, Own), "32 layouts wait already")
}

func FuzzDecodeCourse(f *testing.F) {
	c := someCourse(f)
	f.Add(c.AppendTo(nil))
	f.Add(AppendFiles(nil, c.Files()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := DecodeCourse("ann", b); err == nil {
			require.Equal(t, b, c.AppendTo(nil))
		} else {
			requireTyped(t, err)
		}
		if files, err := DecodeFiles(b); err == nil {
			require.Equal(t, b, AppendFiles(nil, files))
		} else {
			requireTyped(t, err)
		}
	})
}
