// Package flagwords says what is wrong with a flag in words for whoever typed it:
// the flag, what was given, and what it takes. The words of package strconv and of
// package time, which pflag passes on, name Go functions instead.
//
//	if err := flags.Parse(args); err != nil {
//		return flagwords.Explain(err, names) // --timeout 5: 5 what? Give a unit, such as 5s or 2m
//	}
//
// It is shared by the programs; what a value means to a cluster is not its business.
package flagwords
