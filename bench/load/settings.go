package load

import (
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
)

// Limits of a run.
const (
	// CallersMax bounds operations in flight.
	CallersMax = 65_536
	// KeysMax bounds the keys that are stored before the run.
	KeysMax = 1_000_000_000
	// TimeMax bounds a run, and warming up.
	TimeMax = 30 * 24 * time.Hour
	// RateMax is in operations per second; no program of this kind comes near.
	RateMax = 10_000_000
)

// Settings say what a run does.
type Settings struct {
	Profile string
	Mix     Mix
	Popularity
	TTLs []TTL

	Keys                 uint64
	KeyBytes, ValueBytes int

	// Callers are how many operations may be in flight at once.
	Callers int
	// Rate is in operations per second; 0 is a closed loop.
	Rate    float64
	Spacing Spacing

	Warmup, Time time.Duration
	Seed         uint64
}

// FieldError is a setting that cannot be.
type FieldError struct {
	// Field is its name as a flag.
	Field string
	// Problem is what is wrong, and what to write instead.
	Problem string
}

// Error implements error.
func (e *FieldError) Error() string { return "--" + e.Field + " " + e.Problem }

// Validate names the first setting that cannot be.
func (s *Settings) Validate() error {
	for _, c := range []struct {
		ok             bool
		field, problem string
	}{
		{s.Callers >= 1 && s.Callers <= CallersMax, "callers", fmt.Sprintf("%d: use 1 to %d", s.Callers, CallersMax)},
		{s.Rate >= 0 && s.Rate <= RateMax, "rate", fmt.Sprintf("%v: use a number of operations per second up to %d", s.Rate, RateMax)},
		{s.Spacing == Even || s.Spacing == Poisson, "arrivals", fmt.Sprintf("%q: use even or poisson", s.Spacing)},
		{s.Time > 0 && s.Time <= TimeMax, "time", fmt.Sprintf("%v: use a time above 0 and up to %v", s.Time, TimeMax)},
		{s.Warmup >= 0 && s.Warmup <= TimeMax, "warmup", fmt.Sprintf("%v: use a time up to %v, or 0", s.Warmup, TimeMax)},
		{s.Keys >= 1 && s.Keys <= KeysMax, "keys", fmt.Sprintf("%d: use 1 to %d", s.Keys, KeysMax)},
		{s.KeyBytes >= KeyBytesMin && s.KeyBytes <= kindred.KeyBytesMax, "key-size", fmt.Sprintf("%d: use %d to %d bytes", s.KeyBytes, KeyBytesMin, kindred.KeyBytesMax)},
		{s.ValueBytes >= 0 && s.ValueBytes <= kindred.ValueBytesMax, "value-size", fmt.Sprintf("%d: use 0 to %d bytes", s.ValueBytes, kindred.ValueBytesMax)},
		{len(s.Mix) > 0, "mix", "is empty: use KIND=SHARE,…"},
	} {
		if !c.ok {
			return &FieldError{c.field, c.problem}
		}
	}
	return nil
}

// Use takes a profile over.
func (s *Settings) Use(p Profile) {
	s.Profile, s.Mix, s.Popularity, s.TTLs = p.Name, p.Mix, p.Popularity, p.TTLs
	s.KeyBytes, s.ValueBytes = p.KeyBytes, p.ValueBytes
}
