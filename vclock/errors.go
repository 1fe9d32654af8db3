package vclock

import "fmt"

// ParseError says why a text is not an actor or a dot.
type ParseError struct {
	What   string // "actor" or "dot"
	Text   string // all of the text that was given
	Reason string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("vclock: %q is not a valid %s: it %s", shorten(e.Text), e.What, e.Reason)
}

// textShown bounds how much of a stranger's text an error message repeats.
const textShown = 80

func shorten(text string) string {
	if len(text) <= textShown {
		return text
	}
	return text[:textShown] + "…"
}

// DecodeError says why bytes from outside were refused.
type DecodeError struct {
	What   string // what was being read, such as "dot set: actor"
	Offset int    // byte at which it began, counted from the first byte given
	Reason string
	Err    error // the value decoder's own error, or nil
}

func (e *DecodeError) Error() string {
	text := fmt.Sprintf("vclock: decode %s at byte %d: %s", e.What, e.Offset, e.Reason)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the value decoder's error, if that was the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// InvariantError says which numbered invariant of the package documentation
// a value breaks.
type InvariantError struct {
	Of     string // "dot set", "siblings" or "delta"
	Number int
	Detail string
}

func (e *InvariantError) Error() string {
	return fmt.Sprintf("vclock: %s breaks invariant %d: %s", e.Of, e.Number, e.Detail)
}

// ConflictError says that two versions claim one dot with different values:
// an actor was used twice, or bytes changed on their way.
type ConflictError struct{ Dot Dot }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("vclock: dot %s has two different values", e.Dot)
}
