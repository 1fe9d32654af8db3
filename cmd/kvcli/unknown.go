package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknownCommand names what was typed, and the nearest command or all that there
// are.
func unknownCommand(c *cobra.Command, typed string) error {
	c.SuggestionsMinimumDistance = 2
	err := fmt.Errorf("unknown command %q for %q", typed, c.CommandPath())
	if near := nearest(typed, c.SuggestionsFor(typed)); near != "" {
		return usageError{c, fmt.Errorf("%w; did you mean %q?", err, near)}
	}
	if !c.HasParent() {
		return usageError{c, err} // too many to name
	}
	return usageError{c, fmt.Errorf("%w: there are %s", err, strings.Join(children(c), ", "))}
}

// children names what a group of commands holds.
func children(c *cobra.Command) []string {
	var names []string
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			names = append(names, child.Name())
		}
	}
	return names
}

// nearest prefers a name that was only cut short or went on too long.
func nearest(typed string, names []string) string {
	for _, n := range names {
		if strings.HasPrefix(typed, n) || strings.HasPrefix(n, typed) {
			return n
		}
	}
	if len(names) > 0 {
		return names[0]
	}
	return ""
}

// helpOfUnknown refuses --help of a command that is not there, for which cobra
// shows the help of its group.
func (a *app) helpOfUnknown(root *cobra.Command) {
	show := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if rest := c.Flags().Args(); c.HasSubCommands() && len(rest) > 0 {
			a.lost = unknownCommand(c, rest[0])
			return
		}
		show(c, args)
	})
}

// helpCommand is "kvcli help COMMAND", the same as --help.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "Explain a command", Hidden: true, Args: cobra.ArbitraryArgs,
		Example: "  kvcli help put\n  kvcli help local start",
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil || of.HasSubCommands() && len(rest) > 0 {
				return unknownCommand(of, rest[0])
			}
			return of.Help()
		},
	}
}

// flagNames are the flags that a command knows.
func flagNames(c *cobra.Command) []string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
