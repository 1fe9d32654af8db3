package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// completionDoc is the document of kvcli completion.
type completionDoc struct {
	Shell  string `json:"shell"`
	Script string `json:"script"`
}

func (a *app) completionCommand() *cobra.Command {
	shells := map[string]func(root *cobra.Command, w io.Writer) error{
		"bash":       func(root *cobra.Command, w io.Writer) error { return root.GenBashCompletionV2(w, true) },
		"zsh":        (*cobra.Command).GenZshCompletion,
		"fish":       func(root *cobra.Command, w io.Writer) error { return root.GenFishCompletion(w, true) },
		"powershell": (*cobra.Command).GenPowerShellCompletionWithDesc,
	}
	names := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Print what makes a shell complete kvcli's commands", Args: cobra.ExactArgs(1), ValidArgs: names,
		Long: "Completion prints a script for bash, zsh, fish or powershell that completes the\ncommands and flags of kvcli.",
		Example: `  source <(kvcli completion bash)
  kvcli completion zsh > "${fpath[1]}/_kvcli"
  kvcli completion fish > ~/.config/fish/completions/kvcli.fish`,
		RunE: func(c *cobra.Command, args []string) error {
			generate, ok := shells[args[0]]
			if !ok {
				return usageError{c, fmt.Errorf("%q is no shell that is known here: use %s", args[0], strings.Join(names, ", "))}
			}
			var script bytes.Buffer
			if err := generate(c.Root(), &script); err != nil {
				return err
			}
			return a.print(completionDoc{args[0], script.String()}, func(w io.Writer) error { _, err := script.WriteTo(w); return err })
		},
	}
}
