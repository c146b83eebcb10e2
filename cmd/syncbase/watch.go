package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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
	// Tags and Permissions are of a collection that changed.
	Tags        []string        `json:"tags,omitempty"`
	Permissions json.RawMessage `json:"permissions,omitempty"`
	Batch       string          `json:"batch"`
	Resume      string          `json:"resume"`
}

func (a *app) watchCommand() *cobra.Command {
	var opts client.WatchOptions
	var patterns []string
	var collections bool
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
		if err := addPatterns(&opts, patterns); err != nil {
			return err
		}
		opts.Interrupted = func(err error) { fmt.Fprintf(a.err, "syncbase: %s; trying again\n", oneLine(err)) }
		return a.connect(ctx, func(c *client.Client) error {
			err := a.watch(ctx, c, args[0], opts, collections)
			if errors.Is(err, context.Canceled) && ctx.Err() != nil {
				return nil // being interrupted is how a watch ends
			}
			return err
		})
	})
	cmd.Long = `Print changes as they happen, until interrupted, in the order of their batches.

With -o json each change carries in "resume" a marker from which --resume goes on: after the change for the last of a
batch, before the batch for the others, so that no part of a batch is ever missed. Of the rows of the initial state only the
last has one, with which that state is complete.

Besides put and delete of rows there is "destroyed", with which all rows of a collection are gone, and with --collections
"collection", when one was made or its access list changed, with the tags that you have on it. Without it that is printed only when
you may not read a collection any more.`
	cmd.Flags().StringVar(&opts.Collection, "collection", "", "only this collection")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "only keys that begin with this")
	cmd.Flags().StringArrayVar(&patterns, "pattern", nil, "only what matches `COLLECTION/KEY`, where % stands for any text and _ for one character; may be repeated")
	cmd.Flags().StringVar(&opts.Resume, "resume", "", "go on after this marker")
	cmd.Flags().BoolVar(&opts.Initial, "initial", false, "begin with the present rows")
	cmd.Flags().BoolVar(&collections, "collections", false, "tell of collections, too: that they were made, and what you may do with them")
	return cmd
}

// addPatterns reads patterns of the form COLLECTION/KEY: the owner of a collection may hold slashes, its name and the key
// too, so the first slash after the colon counts, or without a colon the first one.
func addPatterns(opts *client.WatchOptions, patterns []string) error {
	if len(patterns) > 0 && (opts.Collection != "" || opts.Prefix != "") {
		return usagef("--pattern cannot go together with --collection or --prefix")
	}
	for _, p := range patterns {
		owner, rest, found := strings.Cut(p, ":")
		if !found {
			owner, rest = "", p
		} else {
			owner += ":"
		}
		name, key, found := strings.Cut(rest, "/")
		if !found {
			return usagef("--pattern %q has no slash and would match no row: it is COLLECTION/KEY, %q for all rows", p, p+"/%")
		}
		opts.Patterns = append(opts.Patterns, client.WatchPattern{Collection: owner + name, Key: key})
	}
	return nil
}

func (a *app) watch(ctx context.Context, c *client.Client, db string, opts client.WatchOptions, collections bool) error {
	names := a.namer(ctx, c)
	lines := a.lines()
	w := watchPrinter{app: a, names: names, lines: lines, json: encoder(lines), collections: collections}
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
	// collections says that all changes of collections are wanted.
	collections bool

	// before is the marker before the batch at hand.
	before string
	// held is the latest row of the initial state, which waits for the marker in case that it is the last.
	held *client.Change
}

func (w *watchPrinter) batch(b *client.Batch) error {
	changes := w.wanted(b)
	if b.Initial {
		return w.initial(b, changes)
	}
	for i := range changes {
		resume := w.before
		if i == len(changes)-1 {
			resume = b.Resume
		}
		if err := w.print(&changes[i], resume); err != nil {
			return err
		}
	}
	w.before = b.Resume
	return nil
}

// wanted leaves out what changed about collections, unless it is asked for or rows go out of sight by it.
func (w *watchPrinter) wanted(b *client.Batch) []client.Change {
	if w.collections {
		return b.Changes
	}
	return slices.DeleteFunc(slices.Clone(b.Changes), func(ch client.Change) bool {
		return ch.Kind == client.CollectionChanged && (b.Initial || slices.Contains(ch.Tags, "Read"))
	})
}

// initial prints the changes of a part of the initial state.
func (w *watchPrinter) initial(b *client.Batch, changes []client.Change) error {
	if b.Reset {
		w.held = nil // it comes again
		return nil
	}
	for i := range changes {
		if err := w.release(""); err != nil {
			return err
		}
		w.held = &changes[i]
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
	from := ""
	if ch.FromSync {
		from = " (synced)"
	}
	var err error
	switch collection := w.names.short(ch.Collection); ch.Kind {
	case client.CollectionChanged:
		_, err = fmt.Fprintf(w.lines, "collection %s %s%s\n", collection, dash(strings.Join(ch.Tags, ",")), from)
	case client.CollectionDestroyed:
		_, err = fmt.Fprintf(w.lines, "destroyed %s%s\n", collection, from)
	default:
		_, err = fmt.Fprintf(w.lines, "%s %s %s %s%s\n", changeWords[ch.Kind], collection, ch.Row.Key, line(ch.Row.Value), from)
	}
	return err
}

// changeWords are what changes are called in the output.
var changeWords = map[client.ChangeKind]string{
	client.Put: "put", client.Deleted: "delete", client.CollectionChanged: "collection", client.CollectionDestroyed: "destroyed",
}

func changeOf(ch *client.Change, names namer) changeObject {
	o := changeObject{
		Collection: names.short(ch.Collection), Key: ch.Row.Key, Change: changeWords[ch.Kind], Version: ch.Row.Version,
		FromSync: ch.FromSync, Batch: ch.Batch, Tags: ch.Tags, Permissions: ch.Permissions,
	}
	switch ch.Kind {
	case client.Put:
		o.value = valueOf(ch.Row.Value)
	case client.Deleted:
		o.Value = json.RawMessage("null")
	case client.CollectionChanged:
		o.Version = ch.Version
	}
	return o
}
