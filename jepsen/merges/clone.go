package merges

import (
	"reflect"
	"slices"
	"time"
)

// The client decodes what it has read each time anew, so a merge or an edit that
// works in place does no harm there. Here a value stays the one it was when it was
// written, because everybody is handed a copy.

// uncopied names what copied would share between a value and its copy, or "".
func uncopied(t reflect.Type, within []reflect.Type) string {
	if slices.Contains(within, t) || t == reflect.TypeFor[time.Time]() {
		return ""
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Interface, reflect.UnsafePointer:
		return t.String()
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return uncopied(t.Elem(), within)
	case reflect.Map:
		if field := uncopied(t.Key(), within); field != "" {
			return field
		}
		return uncopied(t.Elem(), within)
	case reflect.Struct:
		return uncopiedField(t, within)
	}
	return ""
}

func uncopiedField(t reflect.Type, within []reflect.Type) string {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && refers(f.Type) {
			return "its field " + f.Name
		}
		if field := uncopied(f.Type, within); field != "" {
			return field
		}
	}
	return ""
}

// refers reports whether assigning a value of the type shares memory.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Chan, reflect.Interface, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return refers(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return false
		}
		for i := range t.NumField() {
			if refers(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// copied is a copy of all that can be reached from a value of a type that
// uncopied has nothing against.
func copied(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(copied(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
			copyElements(out, v)
		}
	case reflect.Array:
		copyElements(out, v)
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
			for it := v.MapRange(); it.Next(); {
				out.SetMapIndex(copied(it.Key()), copied(it.Value()))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(copied(v.Field(i)))
			}
		}
	}
	return out
}

func copyElements(to, from reflect.Value) {
	if !refers(from.Type().Elem()) {
		reflect.Copy(to, from)
		return
	}
	for i := range from.Len() {
		to.Index(i).Set(copied(from.Index(i)))
	}
}
