package merges

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"unicode/utf8"
)

// Subject is a merge function and how its values are made and judged. Only Merge
// is needed for values that are bytes or strings.
type Subject[V any] struct {
	Merge func(siblings []V) (V, error)
	// Edit changes a value as a client does; Values are written without reading.
	Edit   func(r *rand.Rand, v V) V
	Values []V
	// Elements names what must not get lost.
	Elements func(v V) []string
	Equal    func(a, b V) bool
	Show     func(v V) string
	// Clone makes a value that shares nothing with v.
	Clone func(v V) V
	// NoDeletes: keys are never deleted, and values never expire.
	NoDeletes bool
}

// complete fills in what was left out, and says what cannot be.
func (s Subject[V]) complete() (Subject[V], error) {
	kind := reflect.TypeFor[V]()
	if s.Merge == nil {
		return s, errors.New("there is no merge function")
	}
	if s.Edit == nil && len(s.Values) == 0 {
		if s.Values = words[V](); s.Values == nil {
			return s, fmt.Errorf("nobody says how a value of type %v is made: set Edit, or Values", kind)
		}
	}
	if s.Equal == nil {
		s.Equal = equal[V]
	}
	if s.Show == nil {
		s.Show = show[V]
	}
	if s.Clone == nil {
		if field := uncopied(kind, nil); field != "" {
			return s, fmt.Errorf("a value of type %v cannot be copied because of %s: set Clone", kind, field)
		}
		s.Clone = func(v V) V { return copied(reflect.ValueOf(&v).Elem()).Interface().(V) }
	}
	return s, nil
}

// elements are those of a value; none if nobody says what they are.
func (s *Subject[V]) elements(v V) []string {
	if s.Elements == nil {
		return nil
	}
	return s.Elements(s.Clone(v))
}

// words are values for a type about which nothing was said.
func words[V any]() []V {
	kind := reflect.TypeFor[V]()
	var values []V
	for _, word := range []string{"a", "b", "c"} {
		switch {
		case kind.Kind() == reflect.String, isBytes(kind):
			values = append(values, reflect.ValueOf(word).Convert(kind).Interface().(V))
		}
	}
	return values
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// equal is Equal for who has set none. No bytes are equal to empty bytes: the
// store does not tell them apart.
func equal[V any](a, b V) bool {
	x, y := reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem()
	if isBytes(x.Type()) {
		return bytes.Equal(x.Bytes(), y.Bytes())
	}
	return reflect.DeepEqual(a, b)
}

// show is Show for who has set none.
func show[V any](v V) string {
	value := reflect.ValueOf(&v).Elem()
	if _, named := any(v).(fmt.Stringer); named {
		return fmt.Sprint(v)
	}
	switch {
	case value.Kind() == reflect.String:
		return fmt.Sprintf("%q", value.String())
	case isBytes(value.Type()) && utf8.Valid(value.Bytes()):
		return fmt.Sprintf("%q", value.Bytes())
	case isBytes(value.Type()):
		return fmt.Sprintf("%x", value.Bytes())
	}
	return fmt.Sprintf("%+v", v)
}
