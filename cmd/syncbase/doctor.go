package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
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
	// Remedy is what --repair does about it, and Loses whether only with --accept-loss; where the daemon looks, it does not say.
	Remedy string `json:"remedy,omitempty"`
	Loses  bool   `json:"loses,omitempty"`
	// Repaired is told by --repair alone.
	Repaired *bool `json:"repaired,omitempty"`
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

// repairObject ends the findings of a repair; what it counts as findings is left.
type repairObject struct {
	Repaired int    `json:"repaired"`
	Copy     string `json:"copy,omitempty"`
	checkupObject
}

type doctorOptions struct{ offline, repair, acceptLoss bool }

func (a *app) doctorCommand() *cobra.Command {
	var opts doctorOptions
	cmd := command("doctor", "Check that everything in the store is as it should be, and repair it", `
syncbase doctor
syncbase doctor --offline --data /var/lib/syncbase -o json
syncbase doctor --repair --data /var/lib/syncbase`, cobra.NoArgs, func(ctx context.Context, _ []string) error {
		switch {
		case opts.acceptLoss && !opts.repair:
			return usagef("--accept-loss goes with --repair")
		case opts.repair:
			return a.doctorRepair(ctx, opts.acceptLoss)
		case opts.offline:
			return a.doctorOffline(ctx)
		}
		return a.connect(ctx, func(c *client.Client) error { return a.doctorOnline(ctx, c) })
	})
	cmd.Long = `Go through everything in the store and print what breaks an invariant. The daemon goes on working; nothing is changed.
Exits with 1 if anything was found.

--repair works on the data directory itself, which no daemon may have open. It puts right what follows from something else that
is there: rows and lists of commits from the log, sizes, generations, references of rows to blobs and which blobs are missing.
What cannot be had again it leaves alone, and says so. With --accept-loss it gives that up: it removes what cannot be read and
what nothing leads to. Before the first change it puts a copy of the store aside, from which 'syncbase restore' makes it again.`
	cmd.Flags().BoolVar(&opts.offline, "offline", false, "look into the data directory itself, which no daemon may have open")
	cmd.Flags().BoolVar(&opts.repair, "repair", false, "repair what can be repaired without loss; offline")
	cmd.Flags().BoolVar(&opts.acceptLoss, "accept-loss", false, "with --repair: give up what cannot be had again")
	return cmd
}

func (a *app) doctorOnline(ctx context.Context, c *client.Client) error {
	p := a.findings()
	sum, err := c.Doctor(ctx, func(f client.Finding) error {
		return p.print(findingObject{Database: f.Database, Rule: f.Rule, Key: hex.EncodeToString(f.Key), Text: f.Text})
	})
	return p.end(err, sum)
}

func (a *app) doctorOffline(ctx context.Context) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := a.findings()
	sum, err := checkStore(ctx, dir, func(f findingObject) {
		if err := p.print(f); err != nil {
			cancel(err)
		}
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p.end(err, sum)
}

func (a *app) doctorRepair(ctx context.Context, acceptLoss bool) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	// Unlike a check, a repair goes on when nobody reads what it says.
	p := a.findings()
	sum, err := repairStore(ctx, dir, acceptLoss, func(f findingObject) { _ = p.print(f) })
	if err != nil {
		return joinFlush(err, p.lines)
	}
	if a.json() {
		err = p.json.Encode(sum)
	} else {
		_, err = fmt.Fprintf(p.lines, "%s repaired, %d left\n", count(sum.Repaired, "finding"), sum.Findings)
		if sum.Copy != "" {
			fmt.Fprintf(p.lines, "the store as it was before is in %s; remove it when you are content\n", sum.Copy)
		}
	}
	if err == nil && sum.Findings > 0 {
		err = fmt.Errorf("%s left: restore a backup, or sync anew from a peer%s", count(sum.Findings, "finding"), p.hint(acceptLoss))
	}
	return joinFlush(err, p.lines)
}

// findings prints what is found.
type findings struct {
	app   *app
	lines *bufio.Writer
	json  *json.Encoder
	// lossy counts what only a repair that accepts loss puts right.
	lossy int
}

func (a *app) findings() *findings {
	lines := a.lines()
	return &findings{app: a, lines: lines, json: encoder(lines)}
}

func (p *findings) print(f findingObject) error {
	if f.Loses {
		p.lossy++
	}
	if p.app.json() {
		return p.json.Encode(f)
	}
	_, err := fmt.Fprintf(p.lines, "%s\t%s\t%q%s\n", oneLineText(f.Rule), dash(oneLineText(f.Database)), f.Text, f.became())
	return err
}

// became says what a repair did.
func (f *findingObject) became() string {
	switch {
	case f.Repaired == nil:
		return ""
	case *f.Repaired:
		return "\trepaired: " + f.Remedy
	case f.Loses:
		return "\tleft alone; with --accept-loss: " + f.Remedy
	}
	return "\tleft alone"
}

// hint is for what may be done about what is left.
func (p *findings) hint(acceptLoss bool) string {
	if p.lossy > 0 && !acceptLoss {
		return "; 'syncbase doctor --repair --accept-loss' gives up what cannot be had again"
	}
	return ""
}

func (p *findings) end(err error, sum client.Checkup) error {
	if err != nil {
		return joinFlush(err, p.lines)
	}
	if p.app.json() {
		err = p.json.Encode(checkupObject(sum))
	} else {
		_, err = fmt.Fprintf(p.lines, "%d databases, %d rows, %d log records: %d findings\n", sum.Databases, sum.Rows, sum.Records, sum.Findings)
	}
	if err == nil && sum.Findings > 0 {
		err = fmt.Errorf("the store is damaged: %d findings; stop the daemon and run 'syncbase doctor --repair', or restore a backup, or sync anew from a peer", sum.Findings)
	}
	return joinFlush(err, p.lines)
}
