package nemesis

import (
	"fmt"
	"slices"
	"strings"
)

// Every is the name that stands for all kinds that this machine can do.
const Every = "all"

// Kinds are all kinds, in the order in which they are shown.
func Kinds() []Kind {
	return []Kind{
		cut(),
		oneWay(),
		ring(),
		bridge(),
		swizzle(),
		slow(),
		jitter(),
		wireCut(),
		wireLoss(),
		wireLate(),
		wireSpoil(),
		hostile(),
		pause(),
		starve(),
		clock(),
		twin(),
		kill(),
		power(),
		diskFull(),
		diskError(),
		diskSlow(),
		wipe(),
		image(),
		rot(),
		debt(),
		hintsFull(),
		auditCut(),
	}
}

// UnknownError is a name that no kind has.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return fmt.Sprintf("%q is not a nemesis: use %s or %s", e.Name, strings.Join(names, ", "), Every)
}

// MissingError is a kind that this machine cannot do.
type MissingError struct {
	Kind string
	Err  error
}

func (e *MissingError) Error() string { return fmt.Sprintf("nemesis %s: %v", e.Kind, e.Err) }

func (e *MissingError) Unwrap() error { return e.Err }

// Parse finds kinds by their names. "all" leaves out those that this machine
// cannot do, and says why; a kind that is named has to be possible.
func Parse(names []string) (kinds []Kind, left []*MissingError, err error) {
	add := func(k Kind) {
		if !slices.ContainsFunc(kinds, func(other Kind) bool { return other.Name == k.Name }) {
			kinds = append(kinds, k)
		}
	}
	all := Kinds()
	for _, name := range names {
		if name == Every {
			for _, k := range all {
				if why := k.missing(); why != nil {
					left = append(left, why)
					continue
				}
				add(k)
			}
			continue
		}
		i := slices.IndexFunc(all, func(k Kind) bool { return k.Name == name })
		if i < 0 {
			return nil, nil, &UnknownError{Name: name}
		}
		if why := all[i].missing(); why != nil {
			return nil, nil, why
		}
		add(all[i])
	}
	return kinds, left, nil
}

func (k Kind) missing() *MissingError {
	if k.Missing == nil {
		return nil
	}
	if err := k.Missing(); err != nil {
		return &MissingError{Kind: k.Name, Err: err}
	}
	return nil
}
