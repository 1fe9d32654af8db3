package kindred

import (
	"cmp"
	"fmt"
	"strconv"
)

// Count is how many replicas a request asks for: a number, or a word that is
// resolved against the replicas that exist.
type Count int32

const (
	// CountDefault leaves the choice to the bucket.
	CountDefault Count = 0
	// CountQuorum is a majority of the replicas.
	CountQuorum Count = -1
	// CountAll is every replica.
	CountAll Count = -2
)

// ParseCount reads a number from 1 to [ReplicasMax], "one", "quorum", "all",
// or "" for the bucket's default.
func ParseCount(s string) (Count, error) {
	switch s {
	case "":
		return CountDefault, nil
	case "one":
		return 1, nil
	case "quorum":
		return CountQuorum, nil
	case "all":
		return CountAll, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > ReplicasMax {
		return 0, fmt.Errorf("%q is not a replica count: use a number from 1 to %d, one, quorum or all", s, ReplicasMax)
	}
	return Count(n), nil
}

// String is the form that ParseCount reads.
func (c Count) String() string {
	switch c {
	case CountDefault:
		return ""
	case CountQuorum:
		return "quorum"
	case CountAll:
		return "all"
	}
	return strconv.Itoa(int(c))
}

// Quorum is the replica counts of one request. N is the number of home
// replicas of the partition; R and W are how many must answer, PR and PW how
// many of those must be home replicas.
type Quorum struct {
	N, R, W, PR, PW int
	// Sloppy: guests count toward R and W.
	Sloppy bool
}

// Strict reports whether every read sees every acknowledged write: no guest
// counts, and R + W > N.
func (q Quorum) Strict() bool { return !q.Sloppy && q.R+q.W > q.N }

// Resolve turns counts into numbers for a partition with homes replicas. The
// defaults of r and w are quorum; those of pr and pw are none.
func Resolve(homes int, r, w, pr, pw Count) (Quorum, *Error) {
	q := Quorum{N: homes}
	var errs [4]*Error
	q.R, errs[0] = resolveCount("r", r, homes/2+1, homes)
	q.W, errs[1] = resolveCount("w", w, homes/2+1, homes)
	q.PR, errs[2] = resolveCount("pr", pr, 0, homes)
	q.PW, errs[3] = resolveCount("pw", pw, 0, homes)
	if err := cmp.Or(errs[:]...); err != nil {
		return Quorum{}, err
	}
	q.R, q.W = max(q.R, q.PR), max(q.W, q.PW)
	return q, nil
}

// resolveCount is one of the counts; standard is what the default means.
func resolveCount(name string, c Count, standard, homes int) (int, *Error) {
	n := standard
	switch {
	case c == CountQuorum:
		n = homes/2 + 1
	case c == CountAll:
		n = homes
	case c > 0:
		n = int(c)
	case c < CountAll:
		return 0, Invalid(name, "%s=%d is not a replica count: use a number from 1 to %d, one, quorum or all", name, int(c), ReplicasMax)
	}
	if n > homes {
		return 0, &Error{
			Code: CodeInvalid, Field: name, Limit: int64(homes), Outcome: NotApplied, Need: n, Got: homes,
			Message: fmt.Sprintf("%s=%d, but the replicas of a key are %d here: ask for at most %d", name, n, homes, homes),
		}
	}
	return n, nil
}
