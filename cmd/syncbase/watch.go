package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

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
	var cmd *cobra.Command
	cmd = command("watch DB", "Print changes as they happen, until interrupted", `
syncbase watch notes --collection todo --initial
syncbase watch notes -o json --resume MARKER`, cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		resume := cmd.Flags().Changed("resume")
		if resume && opts.Resume == "" {
			return usagef("--resume takes a marker, not an empty one; say --initial to begin with the present rows")
		}
		if resume && opts.Initial {
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
batch, before the batch for the others, so that no part of a batch is ever missed. Of the rows of the initial state only the
last has one, with which that state is complete.`
	cmd.Flags().StringVar(&opts.Collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringVar(&opts.Resume, "resume", "", "go on after this marker")
	cmd.Flags().BoolVar(&opts.Initial, "initial", false, "begin with the present rows")
	return cmd
}

func (a *app) watch(ctx context.Context, c *client.Client, db string, opts client.WatchOptions) error {
	names := a.namer(ctx, c)
	lines := a.lines()
	w := watchPrinter{app: a, names: names, lines: lines, json: encoder(lines)}
	for batch, err := range c.Database(db).Watch(ctx, opts) {
		if err == nil {
			err = w.batch(&batch)
		} else if held := w.release(""); held != nil {
			err = held
		}
		if err != nil {
			return joinFlush(err, lines)
		}
		if err := lines.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// watchPrinter prints batches with the marker that goes with each change.
type watchPrinter struct {
	app   *app
	names namer
	lines io.Writer
	json  *json.Encoder

	// before is the marker before the batch at hand.
	before string
	// held is the latest row of the initial state, which waits for the marker in case that it is the last.
	held *client.Change
}

func (w *watchPrinter) batch(b *client.Batch) error {
	if b.Initial {
		return w.initial(b)
	}
	for i := range b.Changes {
		resume := w.before
		if i == len(b.Changes)-1 {
			resume = b.Resume
		}
		if err := w.print(&b.Changes[i], resume); err != nil {
			return err
		}
	}
	w.before = b.Resume
	return nil
}

// initial prints a part of the initial state.
func (w *watchPrinter) initial(b *client.Batch) error {
	if b.Reset {
		w.held = nil // it comes again
		return nil
	}
	for i := range b.Changes {
		if err := w.release(""); err != nil {
			return err
		}
		w.held = &b.Changes[i]
	}
	if b.Resume == "" {
		return nil
	}
	w.before = b.Resume
	return w.release(b.Resume)
}

// release prints what is held back.
func (w *watchPrinter) release(resume string) error {
	ch := w.held
	if w.held = nil; ch == nil {
		return nil
	}
	return w.print(ch, resume)
}

func (w *watchPrinter) print(ch *client.Change, resume string) error {
	if w.app.json() {
		o := changeOf(ch, w.names)
		o.Resume = resume
		return w.json.Encode(o)
	}
	kind, from := "put", ""
	if ch.Deleted {
		kind = "delete"
	}
	if ch.FromSync {
		from = " (synced)"
	}
	_, err := fmt.Fprintf(w.lines, "%s %s %s %s%s\n", kind, w.names.short(ch.Collection), ch.Row.Key, line(ch.Row.Value), from)
	return err
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
