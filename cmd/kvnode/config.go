package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/kindredkv/kindred/security"
)

const outputFlag = "output"

const configUsage = `kvnode config shows and checks settings; it starts nothing.

Usage:
  kvnode config print [settings] [-o table|json]
  kvnode config check FILE [settings]

print shows every setting as a node with the same flags, environment and --config
would have it, and where it was made. check says whether a node could start with
the file: names, values, and the certificates, tokens and keys that it names. Give
as flags what the file leaves to them. Both exit with 1 if something is wrong.

Examples:
  kvnode config print --config /etc/kindred/kvnode.toml
  kvnode config check kvnode.toml --name n1
`

// configCommand is "kvnode config …"; it returns the exit code.
func configCommand(args, env []string, stdout, stderr io.Writer) int {
	s, output := newSettings(), "table"
	s.flags.StringVarP(&output, outputFlag, "o", output, "table or json")
	var err error
	switch {
	case len(args) > 0 && args[0] == "print":
		err = s.print(args[1:], env, &output, stdout)
	case len(args) > 0 && args[0] == "check":
		err = s.checkFile(args[1:], env, stdout)
	case len(args) > 0 && (args[0] == "--help" || args[0] == "-h"):
		err = pflag.ErrHelp
	default:
		err = fmt.Errorf("want print or check, as in: kvnode config check FILE")
	}
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, configUsage)
	case err != nil:
		complain(stderr, err)
		return 1
	}
	return 0
}

// complain says each mistake on a line of its own.
func complain(to io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(to, "kvnode: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// print shows all settings, also those with which no node would start.
func (s *settings) print(args, env []string, output *string, to io.Writer) error {
	if err := s.read(args, env); err != nil {
		return err
	}
	if s.flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: a file is given as --config FILE", s.flags.Arg(0))
	}
	doc := configDoc{Settings: s.effective()}
	bad := s.check()
	if bad != nil {
		doc.Problem = bad.Error()
	}
	switch *output {
	case "json":
		e := json.NewEncoder(to)
		e.SetIndent("", "  ")
		if err := e.Encode(doc); err != nil {
			return err
		}
	case "table":
		t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "SETTING\tVALUE\tFROM")
		for _, v := range doc.Settings {
			fmt.Fprintf(t, "%s\t%s\t%s\n", v.Name, orDash(v.text), v.From)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("--%s %q: use table or json", outputFlag, *output)
	}
	return bad
}

// configDoc is what "config print -o json" prints.
type configDoc struct {
	Settings []settingDoc `json:"settings"`
	// Problem is why no node would start with them; empty if one would.
	Problem string `json:"problem"`
}

type settingDoc struct {
	Name string `json:"name"`
	// Value is a text, a number, true or false, or a list of texts, as in a file.
	Value any `json:"value"`
	// From is default, flag, the name of a variable, or a line of a file.
	From string `json:"from"`
	text string
}

// effective is every setting as it is now.
func (s *settings) effective() []settingDoc {
	var out []settingDoc
	for _, name := range s.names() {
		f := s.flags.Lookup(name)
		d := settingDoc{Name: name, Value: f.Value.String(), From: s.source[name], text: f.Value.String()}
		if d.From == "" {
			d.From = "default"
		}
		switch list, ok := f.Value.(pflag.SliceValue); {
		case ok:
			d.Value, d.text = append([]string{}, list.GetSlice()...), strings.Join(list.GetSlice(), ",")
		case f.Value.Type() == "bool" || f.Value.Type() == "int" || f.Value.Type() == "int64" || f.Value.Type() == "uint32":
			d.Value = json.RawMessage(d.text)
		}
		out = append(out, d)
	}
	return out
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// checkFile says whether a node could start with the file.
func (s *settings) checkFile(args, env []string, to io.Writer) error {
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		return pflag.ErrHelp
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return errors.New("config check needs a FILE first, then settings that the file leaves to flags")
	}
	if err := s.read(append([]string{"--config", args[0]}, args[1:]...), env); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	if _, err := security.Open(s.node.Security, s.node.Name); err != nil {
		return s.located(err)
	}
	fmt.Fprintf(to, "%s: %d settings, no mistake found\n", args[0], s.inFile)
	return nil
}
