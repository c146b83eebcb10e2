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
	cmd := command("doctor", "Check that everything in the store is as it should be", "syncbase doctor\nsyncbase doctor -o json",
		cobra.NoArgs, a.doctor)
	cmd.Long = "Go through everything in the store and print what breaks an invariant; the daemon goes on working. Nothing is changed.\n" +
		"Exits with 1 if anything was found."
	return cmd
}

func (a *app) doctor(ctx context.Context, _ []string) error {
	return a.connect(ctx, func(c *client.Client) error {
		lines := a.lines()
		enc := encoder(lines)
		sum, err := c.Doctor(ctx, func(f client.Finding) error {
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
	})
}
