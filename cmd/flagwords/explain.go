package flagwords

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Explain puts an error of pflag into words; other errors pass as they are. To a
// flag that nobody knows it adds the nearest of the known names.
func Explain(err error, known []string) error {
	var invalid *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &invalid):
		f, value := invalid.GetFlag(), invalid.GetValue()
		return fmt.Errorf("--%s %s: %s", f.Name, shown(value), Takes(f.Value.Type(), value, invalid.Unwrap()))
	case errors.As(err, &unknown):
		return fmt.Errorf("%w%s", err, Suggestion(unknown.GetSpecifiedName(), known, func(n string) string { return "--" + n }))
	}
	return err
}

// Takes says what a flag of some type would take in place of a value that it refused
// with err.
func Takes(kind, value string, err error) string {
	switch kind {
	case "duration":
		return badDuration(value)
	case "int":
		return "use a whole number"
	case "uint32":
		return "use a whole number from 0"
	case "bool":
		return "use true or false"
	}
	if num := (*strconv.NumError)(nil); errors.As(err, &num) {
		return num.Err.Error() // without the name of a Go function
	}
	return err.Error()
}

// shown quotes what would not be seen as one word.
func shown(value string) string {
	if value == "" || strings.ContainsAny(value, " \t\n\"") {
		return fmt.Sprintf("%q", value)
	}
	return value
}

var digits = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+)?$`)

// badDuration says why a text is no time, and what to write.
func badDuration(value string) string {
	if digits.MatchString(value) {
		return fmt.Sprintf("%s what? Give a unit, such as %ss or %sm", value, value, value)
	}
	if days, ok := strings.CutSuffix(value, "d"); ok && digits.MatchString(days) {
		return "there is no unit d: give hours, such as 24h"
	}
	return fmt.Sprintf("use a number and a unit, such as 500ms, 2s or 24h, up to %dh", int64((1<<63-1)/time.Hour))
}
