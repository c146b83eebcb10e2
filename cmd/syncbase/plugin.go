package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) pluginCommand() *cobra.Command {
	return group("plugin", "Show plugins and check plugin programs",
		command("list", "List the plugin instances of the daemon", "syncbase plugin list", cobra.NoArgs, a.pluginList),
		a.pluginCheckCommand(),
	)
}

func (a *app) pluginList(ctx context.Context, _ []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		t := a.table(pluginColumns...)
		for p, err := range c.Plugins(ctx) {
			if err != nil {
				return err
			}
			if err := pluginRow(t, p); err != nil {
				return err
			}
		}
		return t.end()
	})
}

// checkResult is the verdict of one check of a conformance kit.
type checkResult struct {
	Check string `json:"check"`
	// Result is ok, failed or skipped; Reason says why it is not ok.
	Result string `json:"result"`
	Reason string `json:"reason,omitempty"`
}

func (a *app) pluginCheckCommand() *cobra.Command {
	var config string
	cmd := command("check PATH", "Run the conformance kit against a plugin program", `
syncbase plugin check ./blobstore-s3 --config '{"bucket":"test","endpoint":"http://localhost:7070"}'`, cobra.ExactArgs(1),
		func(ctx context.Context, args []string) error {
			if !json.Valid([]byte(config)) {
				return usagef("--config is not JSON: %s", config)
			}
			return a.pluginCheck(ctx, args[0], []byte(config))
		})
	cmd.Flags().StringVar(&config, "config", "{}", "configuration of the plugin, as JSON")
	return cmd
}

func (a *app) pluginCheck(ctx context.Context, path string, config []byte) error {
	failed := 0
	err := checkPlugin(ctx, path, config, func(r checkResult) error {
		if r.Result == "failed" {
			failed++
		}
		return a.show(r, func(w io.Writer) {
			fmt.Fprintf(w, "%-8s %s", r.Result, r.Check)
			if r.Reason != "" {
				fmt.Fprintf(w, ": %s", oneLineText(r.Reason))
			}
			fmt.Fprintln(w)
		})
	})
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s does not keep the contract: %d checks failed", path, failed)
	}
	return nil
}
