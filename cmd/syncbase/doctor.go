package main

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// findingObject is a finding as scripts see it.
type findingObject struct {
	Database string `json:"database"`
	Rule     string `json:"rule"`
	// Key in hexadecimal.
	Key  string `json:"key"`
	Text string `json:"text"`
}

// checkupObject ends the findings.
type checkupObject struct {
	Databases   uint64 `json:"databases"`
	Collections uint64 `json:"collections"`
	Rows        uint64 `json:"rows"`
	Tombstones  uint64 `json:"tombstones"`
	Records     uint64 `json:"records"`
	Commits     uint64 `json:"commits"`
	Findings    uint64 `json:"findings"`
}

func (a *app) doctorCommand() *cobra.Command {
	var offline bool
	cmd := command("doctor", "Check that everything in the store is as it should be", `
syncbase doctor
syncbase doctor --offline --data /var/lib/syncbase -o json`, cobra.NoArgs, func(ctx context.Context, _ []string) error {
		if offline {
			return a.doctorOffline(ctx)
		}
		return a.connect(ctx, func(c *client.Client) error {
			return a.doctor(func(report func(client.Finding) error) (client.Checkup, error) {
				return c.Doctor(ctx, report)
			})
		})
	})
	cmd.Long = `Go through everything in the store and print what breaks an invariant. The daemon goes on working; nothing is changed.
Exits with 1 if anything was found.`
	cmd.Flags().BoolVar(&offline, "offline", false, "look into the data directory itself, which no daemon may have open")
	return cmd
}

func (a *app) doctorOffline(ctx context.Context) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	return a.doctor(func(report func(client.Finding) error) (client.Checkup, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		sum, err := checkStore(ctx, dir, func(f client.Finding) {
			if err := report(f); err != nil {
				cancel(err)
			}
		})
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return sum, err
	})
}

// doctor prints what check reports.
func (a *app) doctor(check func(report func(client.Finding) error) (client.Checkup, error)) error {
	lines := a.lines()
	enc := encoder(lines)
	sum, err := check(func(f client.Finding) error {
		if a.json() {
			return enc.Encode(findingObject{f.Database, f.Rule, hex.EncodeToString(f.Key), f.Text})
		}
		_, err := fmt.Fprintf(lines, "%s\t%s\t%q\n", oneLineText(f.Rule), dash(oneLineText(f.Database)), f.Text)
		return err
	})
	if err != nil {
		return joinFlush(err, lines)
	}
	if a.json() {
		err = enc.Encode(checkupObject(sum))
	} else {
		_, err = fmt.Fprintf(lines, "%d databases, %d rows, %d log records: %d findings\n", sum.Databases, sum.Rows, sum.Records, sum.Findings)
	}
	if err == nil && sum.Findings > 0 {
		err = fmt.Errorf("the store is damaged: %d findings; stop the daemon and restore a backup, or sync anew from a peer", sum.Findings)
	}
	return joinFlush(err, lines)
}
