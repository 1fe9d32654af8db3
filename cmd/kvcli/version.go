package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

type versionDoc struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of kvcli", Args: cobra.NoArgs,
		Example: "  kvcli version\n  kvcli version -o json",
		RunE: func(*cobra.Command, []string) error {
			doc := buildVersion()
			return a.print(doc, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "kvcli %s, commit %s, %s\n", doc.Version, doc.Commit, doc.Go)
				return err
			})
		},
	}
}

func buildVersion() versionDoc {
	doc := versionDoc{Version: "unknown", Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return doc
	}
	doc.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			doc.Commit = s.Value
		}
	}
	return doc
}
