package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

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
	// Saved are the keys that a new store was made of, Blind whether some may be missing that nobody knows of.
	Saved int  `json:"saved,omitempty"`
	Blind bool `json:"blind,omitempty"`
	checkupObject
}

type doctorOptions struct{ offline, repair, acceptLoss, all, deep bool }

func (a *app) doctorCommand() *cobra.Command {
	var opts doctorOptions
	cmd := command("doctor", "Check that everything in the store is as it should be, and repair it", `
syncbase doctor
syncbase doctor --deep
syncbase doctor --offline --data /var/lib/syncbase -o json
syncbase doctor --repair --data /var/lib/syncbase`, cobra.NoArgs, func(ctx context.Context, _ []string) error {
		switch {
		case opts.acceptLoss && !opts.repair:
			return usagef("--accept-loss goes with --repair")
		case opts.deep && (opts.repair || opts.offline):
			return usagef("--deep takes a running daemon, which has the blob store: run 'syncbase doctor --deep' after the start")
		case opts.repair:
			return a.doctorRepair(ctx, opts)
		case opts.offline:
			return a.doctorOffline(ctx, opts)
		}
		return a.connect(ctx, func(c *client.Client) error { return a.doctorOnline(ctx, c, opts) })
	})
	cmd.Long = `Go through everything in the store and print what breaks an invariant. The daemon goes on working; nothing is changed.
Exits with 1 if anything was found. Of each kind of finding it prints the first 20, with --all or -o json every one.

--deep also reads the bytes of all blobs that are here, and names those of which something is damaged or gone. That takes as long as reading
them all from the blob store, and little memory. What is found is written again when the same content is put once more.

--repair works on the data directory itself, which no daemon may have open. It puts right what follows from something else that
is there: rows and lists of commits from the log, sizes, generations, references of rows to blobs and which blobs are missing.
What cannot be had again it leaves alone, and says so. With --accept-loss it gives that up: it removes what nothing leads to, and of
a store with files that are damaged or gone it makes a new one of what can be read. What peers hold of the rest comes back when
they compare. Before the first change it puts the store as it was aside. It may be interrupted, and run again.`
	cmd.Flags().BoolVar(&opts.offline, "offline", false, "look into the data directory itself, which no daemon may have open")
	cmd.Flags().BoolVar(&opts.repair, "repair", false, "repair what can be repaired without loss; offline")
	cmd.Flags().BoolVar(&opts.deep, "deep", false, "read the bytes of all blobs, too; takes the daemon")
	cmd.Flags().BoolVar(&opts.all, "all", false, "print every finding")
	cmd.Flags().BoolVar(&opts.acceptLoss, "accept-loss", false, "with --repair: give up what cannot be had again")
	return cmd
}

func (a *app) doctorOnline(ctx context.Context, c *client.Client, opts doctorOptions) error {
	p := a.findings(opts)
	steps := a.steps()
	how := client.DoctorOptions{Deep: opts.deep, Progress: func(doing string, done, of uint64) { steps(doing, int(done), int(of)) }}
	sum, err := c.Doctor(ctx, func(f client.Finding) error {
		return p.print(findingObject{Database: f.Database, Rule: f.Rule, Key: hex.EncodeToString(f.Key), Text: f.Text})
	}, how)
	return p.end(err, sum)
}

func (a *app) doctorOffline(ctx context.Context, opts doctorOptions) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := a.findings(opts)
	sum, err := checkStore(ctx, dir, a.steps(), func(f findingObject) {
		if err := p.print(f); err != nil {
			cancel(err)
		}
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return p.end(err, sum)
}

func (a *app) doctorRepair(ctx context.Context, opts doctorOptions) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	// Unlike a check, a repair goes on when nobody reads what it says.
	p := a.findings(opts)
	sum, err := repairStore(ctx, dir, opts.acceptLoss, a.steps(), func(f findingObject) { _ = p.print(f) })
	if err != nil {
		return joinFlush(err, p.lines)
	}
	if a.json() {
		err = p.json.Encode(sum)
	} else {
		p.more()
		err = sum.print(p.lines)
	}
	if err == nil && sum.Findings > 0 {
		err = fmt.Errorf("%s left: %s", count(sum.Findings, "finding"), p.advice(opts.acceptLoss))
	}
	return joinFlush(err, p.lines)
}

// print ends a repair for people.
func (r *repairObject) print(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s repaired, %d left\n", count(r.Repaired, "finding"), r.Findings)
	if r.Saved > 0 {
		fmt.Fprintf(w, "a new store was made of %s that could be read; this device goes on as another writer, and what peers hold of the rest comes back when they compare\n",
			count(r.Saved, "key"))
	}
	if r.Blind {
		fmt.Fprintln(w, "nothing told which tables belonged to the store: some may be gone without a trace, and what had been removed may be back; if there is a recent backup, rather restore that")
	}
	if r.Copy != "" {
		fmt.Fprintf(w, "the store as it was before is in %s; remove it when you are content\n", r.Copy)
	}
	return err
}

// findings prints what is found.
type findings struct {
	app   *app
	lines *bufio.Writer
	json  *json.Encoder
	all   bool
	// kinds counts what was found of each kind, in the order in which they came.
	kinds []findingKind
	// lossy counts what only a repair that accepts loss puts right.
	lossy int
	// blobs counts damaged blobs, for which there is another remedy.
	blobs uint64
}

// findingKind is a kind of findings, for people.
type findingKind struct {
	rule, became string
	n            int
}

// maxFindings is how many findings of a kind people are shown.
const maxFindings = 20

func (a *app) findings(opts doctorOptions) *findings {
	lines := a.lines()
	return &findings{app: a, lines: lines, json: encoder(lines), all: opts.all}
}

func (p *findings) print(f findingObject) error {
	if f.Loses {
		p.lossy++
	}
	if f.Rule == "blob-bytes" {
		p.blobs++
	}
	if p.app.json() {
		return p.json.Encode(f)
	}
	at := slices.IndexFunc(p.kinds, func(k findingKind) bool { return k.rule == f.Rule && k.became == f.became() })
	if at < 0 {
		at, p.kinds = len(p.kinds), append(p.kinds, findingKind{rule: f.Rule, became: f.became()})
	}
	if p.kinds[at].n++; p.kinds[at].n > maxFindings && !p.all {
		return nil
	}
	_, err := fmt.Fprintf(p.lines, "%s\t%s\t%q%s\n", oneLineText(f.Rule), dash(oneLineText(f.Database)), f.Text, f.became())
	return err
}

// more tells what was not printed.
func (p *findings) more() {
	for _, k := range p.kinds {
		if k.n > maxFindings && !p.all {
			fmt.Fprintf(p.lines, "%s\t-\tand %d more%s; --all prints them\n", oneLineText(k.rule), k.n-maxFindings, k.became)
		}
	}
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

// advice is for what may be done about what is left.
func (p *findings) advice(acceptLoss bool) string {
	if p.lossy > 0 && !acceptLoss {
		return "'syncbase doctor --repair --accept-loss' goes on without what cannot be had again; or " + otherwise
	}
	return otherwise
}

func (p *findings) end(err error, sum client.Checkup) error {
	if err != nil {
		return joinFlush(err, p.lines)
	}
	if p.app.json() {
		err = p.json.Encode(checkupObject(sum))
	} else {
		p.more()
		_, err = fmt.Fprintf(p.lines, "%s, %s, %s: %s\n",
			count(sum.Databases, "database"), count(sum.Rows, "row"), count(sum.Records, "log record"), count(sum.Findings, "finding"))
	}
	switch {
	case err != nil || sum.Findings == 0:
	case p.blobs == sum.Findings:
		err = errors.New("blobs are damaged; put the content of each again with 'syncbase blob put', from a file or from a device that has it")
	default:
		err = errors.New("the store is damaged; " + whatNow)
	}
	return joinFlush(err, p.lines)
}
