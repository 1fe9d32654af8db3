package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/security"
)

// certDoc is the document of kvcli cert: what is to be used by whom.
type certDoc struct {
	// Made is ca, node, client, token or gossip.
	Made string `json:"made"`
	Name string `json:"name,omitempty"`
	// Files are the files that were written, or added to.
	Files []string `json:"files"`
	// Until is when it expires.
	Until *time.Time `json:"until,omitempty"`
}

func (a *app) certCommand() *cobra.Command {
	var dir string
	c := parent("cert", "Make keys for a cluster with TLS",
		`  kvcli cert ca
  kvcli cert gossip
  kvcli cert node n1 --host n1.example --host 10.0.0.1
  kvcli cert client alice
  kvcli cert token bob`,
		a.certCA(&dir), a.certNode(&dir), a.certClient(&dir), a.certToken(&dir), a.certGossip(&dir))
	c.Long = `Cert keeps a folder with the authority of a cluster and makes what nodes and
clients need. Keep the folder off the nodes: give each node NAME.pem, NAME.key,
ca.pem, gossip.keys and tokens, each client NAME.pem and NAME.key, or NAME.token, and
ca.pem. Whoever has ca.key can make himself a node.`
	c.PersistentFlags().StringVar(&dir, "out", "kindred-keys", "folder of the authority and of what it made")
	return c
}

// makes runs one step of the kit and tells what it wrote.
func (a *app) makes(dir *string, doc certDoc, life time.Duration, step func(security.Kit) error) error {
	kit, err := security.OpenKit(*dir)
	if err != nil {
		return err
	}
	if life < 0 {
		return fmt.Errorf("--life %s: use a time above 0", life)
	}
	if life > 0 {
		until := time.Now().Add(life).UTC().Truncate(time.Second)
		doc.Until = &until
	}
	if err := step(kit); err != nil {
		return err
	}
	for i, f := range doc.Files {
		doc.Files[i] = filepath.Join(*dir, f)
	}
	return a.print(doc, func(w io.Writer) error {
		for _, f := range doc.Files {
			if _, err := fmt.Fprintln(w, f); err != nil {
				return err
			}
		}
		return nil
	})
}

func lifeFlag(c *cobra.Command, life *time.Duration, byDefault time.Duration) *cobra.Command {
	c.Flags().DurationVar(life, "life", byDefault, "how long it is valid from now on")
	return c
}

func (a *app) certCA(dir *string) *cobra.Command {
	var life time.Duration
	var name string
	c := &cobra.Command{
		Use: "ca", Short: "Make the authority that signs everything else", Args: cobra.NoArgs,
		Example: "  kvcli cert ca\n  kvcli cert ca --out next --name 'Kindred 2027'",
		RunE: func(*cobra.Command, []string) error {
			return a.makes(dir, certDoc{Made: "ca", Name: name, Files: []string{"ca.pem", "ca.key"}}, life,
				func(k security.Kit) error { return k.MakeAuthority(name, life) })
		},
	}
	c.Flags().StringVar(&name, "name", "Kindred", "what the authority is called in certificates and errors")
	return lifeFlag(c, &life, security.AuthorityLife)
}

func (a *app) certNode(dir *string) *cobra.Command {
	var life time.Duration
	var hosts []string
	c := &cobra.Command{
		Use: "node NAME", Short: "Make the certificate of a node", Args: cobra.ExactArgs(1),
		Long: `Node makes a certificate for the node that was, or will be, started with --name
NAME. Clients check that one of its hosts is the one that they dial. An older
certificate in the folder is replaced; copy the new pair over that of the running
node, which takes it up.`,
		Example: "  kvcli cert node n1 --host n1.example --host 10.0.0.1",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.makes(dir, certDoc{Made: "node", Name: args[0], Files: []string{args[0] + ".pem", args[0] + ".key"}}, life,
				func(k security.Kit) error { return k.MakeNode(args[0], hosts, life) })
		},
	}
	c.Flags().StringSliceVar(&hosts, "host", []string{"localhost", "127.0.0.1", "::1"}, "names and IP addresses that clients reach it by")
	return lifeFlag(c, &life, security.CertificateLife)
}

func (a *app) certClient(dir *string) *cobra.Command {
	var life time.Duration
	c := &cobra.Command{
		Use: "client NAME", Short: "Make the certificate of a client", Args: cobra.ExactArgs(1),
		Example: "  kvcli cert client alice --life 720h",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.makes(dir, certDoc{Made: "client", Name: args[0], Files: []string{args[0] + ".pem", args[0] + ".key"}}, life,
				func(k security.Kit) error { return k.MakeClient(args[0], life) })
		},
	}
	return lifeFlag(c, &life, security.CertificateLife)
}

func (a *app) certToken(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "token NAME", Short: "Make the token of a client", Args: cobra.ExactArgs(1),
		Long: `Token makes a secret for a client that has no certificate, and adds its hash to
the file tokens, which the nodes read. To revoke it, remove its line there.`,
		Example: "  kvcli cert token bob",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.makes(dir, certDoc{Made: "token", Name: args[0], Files: []string{args[0] + ".token", "tokens"}}, 0,
				func(k security.Kit) error { return k.MakeToken(args[0]) })
		},
	}
}

func (a *app) certGossip(dir *string) *cobra.Command {
	return &cobra.Command{
		Use: "gossip", Short: "Make the key that encrypts the gossip of the nodes", Args: cobra.NoArgs,
		Example: "  kvcli cert gossip",
		RunE: func(*cobra.Command, []string) error {
			return a.makes(dir, certDoc{Made: "gossip", Files: []string{"gossip.keys"}}, 0, security.Kit.MakeGossipKey)
		},
	}
}
