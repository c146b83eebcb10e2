package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// identityFacts is what there is to show of an identity on disk.
type identityFacts struct {
	Principal   string    `json:"principal"`
	Owner       string    `json:"owner"`
	TrustDomain string    `json:"trust_domain"`
	NotAfter    time.Time `json:"not_after"`
	// Authority tells whether the directory can issue identities.
	Authority bool     `json:"authority"`
	Trusted   []string `json:"trusted"`
	Dir       string   `json:"dir"`
}

func (a *app) identityCommand() *cobra.Command {
	var dir string
	in := func(do func(dir string, args []string) error) action {
		return func(_ context.Context, args []string) error {
			d, err := a.identityDir(dir)
			if err != nil {
				return err
			}
			return do(d, args)
		}
	}
	g := group("identity", "Show and make identities; works on the directory, without a daemon",
		command("show", "Tell who this device is", "syncbase identity show", cobra.NoArgs, in(a.identityShow)),
		command("init NAME", "Make an identity with a trust domain of its own", "syncbase identity init laptop", cobra.ExactArgs(1), in(a.identityInit)),
		a.identityIssueCommand(in),
		command("trust FILE", "Believe the authority of another trust domain", "syncbase identity trust friend-ca.pem", cobra.ExactArgs(1), in(a.identityTrust)),
	)
	g.PersistentFlags().StringVar(&dir, "identity", "", "directory of the identity (default DATA/identity)")
	_ = g.MarkPersistentFlagDirname("identity")
	return g
}

func (a *app) identityDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	data, err := a.dataDir()
	return filepath.Join(data, "identity"), err
}

func (a *app) identityShow(dir string, _ []string) error {
	facts, err := identityShow(dir)
	if err != nil {
		return err
	}
	return a.showIdentity(facts)
}

func (a *app) showIdentity(f identityFacts) error {
	return a.show(f, func(w io.Writer) {
		fmt.Fprintf(w, "principal     %s\nowner         %s\ntrust domain  %s\nvalid until   %s\nauthority     %s\nbelieves      %s\ndirectory     %s\n",
			f.Principal, f.Owner, f.TrustDomain, f.NotAfter.Local().Format(time.DateOnly), yesNo(f.Authority),
			strings.Join(f.Trusted, ", "), f.Dir)
	})
}

func (a *app) identityInit(dir string, args []string) error {
	facts, err := identityInit(dir, args[0])
	if err != nil {
		return err
	}
	return a.showIdentity(facts)
}

func (a *app) identityIssueCommand(in func(func(string, []string) error) action) *cobra.Command {
	var out string
	cmd := command("issue NAME --out DIR", "Make an identity for another device of the same owner",
		"syncbase identity issue server --out ./server-identity", cobra.ExactArgs(1),
		in(func(dir string, args []string) error {
			if out == "" {
				return usagef("say with --out where the identity goes")
			}
			principal, err := identityIssue(dir, args[0], out)
			if err != nil {
				return err
			}
			return a.say(map[string]string{"principal": principal, "dir": out},
				"issued %s; carry %s to the device and start there: syncbase serve --identity %s", principal, out, filepath.Base(out))
		}))
	cmd.Flags().StringVar(&out, "out", "", "directory to make; it holds what 'serve --identity DIR' on the device needs")
	_ = cmd.MarkFlagDirname("out")
	return cmd
}

func (a *app) identityTrust(dir string, args []string) error {
	domain, err := identityTrust(dir, args[0])
	if err != nil {
		return err
	}
	return a.say(map[string]string{"trust_domain": domain}, "devices of %s are believed from now on", domain)
}
