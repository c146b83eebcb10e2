package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// changeObject is a change as scripts see it.
type changeObject struct {
	Collection string `json:"collection"`
	Key        string `json:"key"`
	Change     string `json:"change"`
	value
	Version  string `json:"version"`
	FromSync bool   `json:"from_sync"`
	Batch    string `json:"batch"`
	Resume   string `json:"resume"`
}

func (a *app) watchCommand() *cobra.Command {
	var opts client.WatchOptions
	cmd := command("watch DB", "Print changes as they happen, until interrupted", `
syncbase watch notes --collection todo --initial
syncbase watch notes -o json --resume MARKER`, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		if opts.Resume != "" && opts.Initial {
			return usagef("--resume cannot go together with --initial")
		}
		opts.Interrupted = func(err error) { fmt.Fprintf(a.err, "syncbase: %s; trying again\n", oneLine(err)) }
		return a.connect(ctx, func(c *client.Client) error {
			err := a.watch(ctx, c, args[0], opts)
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return nil // being interrupted is how a watch ends
			}
			return err
		})
	})
	cmd.Long = `Print changes as they happen, until interrupted, in the order of their batches.

With -o json each change carries in "resume" a marker from which --resume goes on: after the change for the last of a
batch, before the batch for the others, so that no part of a batch is ever missed. Changes of the initial state have
none until it is complete.`
	cmd.Flags().StringVar(&opts.Collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringVar(&opts.Resume, "resume", "", "go on after this marker")
	cmd.Flags().BoolVar(&opts.Initial, "initial", false, "begin with the present rows")
	return cmd
}

func (a *app) watch(ctx context.Context, c *client.Client, db string, opts client.WatchOptions) error {
	names := a.namer(ctx, c)
	lines := a.lines()
	enc := encoder(lines)
	// before is the marker before the batch at hand.
	before := ""
	for batch, err := range c.Database(db).Watch(ctx, opts) {
		if err != nil {
			return joinFlush(err, lines)
		}
		for i := range batch.Changes {
			ch := changeOf(&batch.Changes[i], names)
			if ch.Resume = before; i == len(batch.Changes)-1 && !batch.Initial {
				ch.Resume = batch.Resume
			}
			if err := a.printChange(enc, lines, &ch, batch.Changes[i].Row.Value); err != nil {
				return err
			}
		}
		if !batch.Initial || !batch.Reset {
			before = batch.Resume
		}
		if err := lines.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func changeOf(ch *client.Change, names namer) changeObject {
	o := changeObject{
		Collection: names.short(ch.Collection), Key: ch.Row.Key, Change: "put", Version: ch.Row.Version,
		FromSync: ch.FromSync, Batch: ch.Batch,
	}
	if ch.Deleted {
		o.Change = "delete"
	} else {
		o.value = valueOf(ch.Row.Value)
	}
	return o
}

func (a *app) printChange(enc *json.Encoder, lines interface{ Write([]byte) (int, error) }, ch *changeObject, v client.Value) error {
	if a.json() {
		return enc.Encode(ch)
	}
	from := ""
	if ch.FromSync {
		from = " (synced)"
	}
	_, err := fmt.Fprintf(lines, "%s %s %s %s%s\n", ch.Change, ch.Collection, ch.Key, line(v), from)
	return err
}
