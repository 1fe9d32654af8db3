package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/kindredkv/kindred/cmd/flagwords"
)

// fromFile applies a file of `name = value` lines where neither a flag nor the
// environment has spoken. It reports every unknown name and every value
// that cannot be read.
func (s *settings) fromFile(path string) error {
	b, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values := map[string]any{}
	if _, err := toml.Decode(string(b), &values); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return fmt.Errorf("%s line %d: %s", path, pe.Position.Line, pe.Message)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var mistakes []error
	for _, name := range byLine(string(b), values) {
		place := fmt.Sprintf("%s line %d", path, lineOf(string(b), name))
		if err := s.fromLine(place, name, values[name]); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", place, err))
		}
	}
	return errors.Join(mistakes...)
}

// fromLine applies one line of the file.
func (s *settings) fromLine(place, name string, value any) error {
	if s.flags.Lookup(name) == nil || onlyFlags[name] {
		return fmt.Errorf("unknown setting %q%s", name, flagwords.Suggestion(name, s.names(), strings.Clone))
	}
	text, err := plain(value)
	if err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	s.inFile++
	if s.source[name] != "" {
		return nil
	}
	s.source[name] = place
	if err := s.set(name, text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// byLine orders the names as they stand in the file, so that the first mistake
// is the one reported.
func byLine(text string, values map[string]any) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return lineOf(text, a) - lineOf(text, b)
	})
	return names
}

// lineOf finds where a top-level name is set; the TOML package does not say.
func lineOf(text, name string) int {
	n := 0
	for line := range strings.Lines(text) {
		n++
		key, _, _ := strings.Cut(line, "=")
		key = strings.Trim(key, " \t\r\n[]\"'")
		if key == name || strings.HasPrefix(key, name+".") {
			return n
		}
	}
	return 0
}

// plain turns a TOML value into the text that the flag of the same name takes.
func plain(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, int64:
		return fmt.Sprint(v), nil
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			text, ok := item.(string)
			if !ok {
				return "", fmt.Errorf("holds %v in its list, want texts", item)
			}
			items[i] = text
		}
		return strings.Join(items, ","), nil
	case map[string]any:
		return "", errors.New("is a table; settings are plain lines of 'name = value'")
	}
	return "", fmt.Errorf("has the value %v, want a text, a whole number, true or false, or a list of texts", v)
}
