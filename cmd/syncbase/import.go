package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

// How an import is cut into batches, and how many of them are under way together.
const (
	importRows     = 1000
	importBytes    = 4 << 20
	importInFlight = 4
)

type importOptions struct {
	format, key string
	skip        uint64
}

func (a *app) importCommand() *cobra.Command {
	var opts importOptions
	cmd := command("import DB COLLECTION FILE", "Write many rows from a file", `
syncbase import notes todo rows.jsonl.gz
syncbase import notes people people.csv --key email
zcat objects.jsonl.gz | syncbase import notes things - --key id`, cobra.ExactArgs(3),
		func(ctx context.Context, args []string) error {
			if opts.format == "" {
				opts.format = formatOf(args[2])
			}
			return a.connect(ctx, func(c *client.Client) error { return a.importFile(ctx, c.Database(args[0]), args[1], args[2], opts) })
		})
	cmd.Long = `Write many rows from a file, in batches of 1,000. FILE may be compressed with gzip; - is standard input.

jsonl has one object a line: {"key": K, "value": V}, or with --key any object, which becomes the value as it is and has
its key in that field. csv has the names of the columns in its first line; each further line becomes an object of texts,
with the key in the first column unless --key names another.

When it is cut short, import says how many rows are stored; --skip N goes on after them. To import again from the
beginning does no harm either. Here --key is a field; a private key is named by SYNCBASE_KEY.`
	cmd.Flags().StringVar(&opts.format, "format", "", "jsonl or csv (default by the name of the file, else jsonl)")
	cmd.Flags().StringVar(&opts.key, "key", "", "field or column that holds the key")
	cmd.Flags().Uint64Var(&opts.skip, "skip", 0, "pass over so many rows, which an earlier import has stored")
	return cmd
}

func formatOf(file string) string {
	if strings.HasSuffix(strings.TrimSuffix(strings.ToLower(file), ".gz"), ".csv") {
		return "csv"
	}
	return "jsonl"
}

func (a *app) importFile(ctx context.Context, db *client.Database, collection, file string, opts importOptions) error {
	in, closeInput, err := a.open(ctx, file)
	if err != nil {
		return err
	}
	defer closeInput()
	bar := a.progress("import", size(in))
	defer bar.end()
	plain, err := plainText(bar.reading(in))
	if err != nil {
		return advise(ctx, fmt.Errorf("%s: %w", inputName(file), err), "nothing is stored")
	}
	from, err := newRecords(opts.format, plain, opts.key)
	if err != nil {
		return advise(ctx, err, "nothing is stored")
	}
	start := time.Now()
	i := importer{db: db, c: db.Collection(collection), busy: map[string]struct{}{}}
	err = i.run(ctx, from, opts.skip)
	bar.end()
	if err = plainly(ctx, err); err != nil {
		return i.account(err, opts.skip)
	}
	took := time.Since(start)
	rate := float64(i.stored) / max(took.Seconds(), 1e-9)
	return a.say(map[string]any{"rows": i.stored, "seconds": took.Seconds()},
		"imported %s in %s (%.0f rows/s)", count(i.stored, "row"), took.Round(time.Millisecond), rate)
}

// account says what is done and how to go on.
func (i *importer) account(err error, skip uint64) error {
	known := ""
	if i.unsure {
		known = "known to be "
	}
	if i.stored == 0 {
		return fmt.Errorf("%w; nothing is %sstored", err, known)
	}
	are := "are"
	if i.stored == 1 {
		are = "is"
	}
	return fmt.Errorf("%w; %s %s %sstored, go on with --skip %d", err, count(i.stored, "row"), are, known, skip+i.stored)
}

// size is what a bar needs to know of a file; 0 where nobody knows.
func size(in io.Reader) int64 {
	f, ok := in.(*os.File)
	if !ok {
		return 0
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// importer keeps several batches under way. Batches that are under way together have no key in common, so rows of one key
// are stored in the order in which they come.
type importer struct {
	db *client.Database
	c  *client.Collection

	ops  []client.Op
	keys []string
	size int
	// lines are those of the rows at hand.
	lines []int

	// flight are the batches under way, oldest first; busy are their keys.
	flight []*flight
	busy   map[string]struct{}
	// stored counts the rows up to the first batch that failed, which sets broken.
	stored uint64
	broken bool
	// unsure: a batch was sent and not answered, so it may be stored or not.
	unsure bool
}

type flight struct {
	keys  []string
	lines []int
	done  chan error
}

// run stores the records. When ctx ends it sends nothing more, and waits a while for the answers to what it has sent: only
// they tell what is stored.
func (i *importer) run(ctx context.Context, from records, skip uint64) (err error) {
	sent, giveUp := outlasting(ctx)
	defer giveUp()
	defer func() { err = i.land(err) }()
	for n := uint64(0); ; n++ {
		r, err := from.next()
		if errors.Is(err, io.EOF) && n < skip {
			return fmt.Errorf("--skip %d passes over more than the %s that there are", skip, count(n, "row"))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return i.launch(sent)
		}
		if err != nil {
			return errors.Join(i.launch(sent), err)
		}
		if n < skip {
			continue
		}
		if err := i.add(sent, r); err != nil {
			return err
		}
	}
}

func (i *importer) add(sent context.Context, r record) error {
	op, err := i.c.PutOp(r.key, r.value)
	if err != nil {
		return errors.Join(i.launch(sent), fmt.Errorf("line %d: %w", r.line, err))
	}
	i.ops, i.keys, i.lines = append(i.ops, op), append(i.keys, r.key), append(i.lines, r.line)
	if i.size += len(r.key) + len(r.value.Bytes); len(i.ops) < importRows && i.size < importBytes {
		return nil
	}
	return i.launch(sent)
}

// launch sends the batch at hand on its way. Its answer is waited for until sent ends.
func (i *importer) launch(sent context.Context) error {
	if len(i.ops) == 0 {
		return nil
	}
	for len(i.flight) == importInFlight || len(i.flight) > 0 && i.collides() {
		if err := i.await(); err != nil {
			return err
		}
	}
	f := &flight{keys: i.keys, lines: i.lines, done: make(chan error, 1)}
	for _, key := range f.keys {
		i.busy[key] = struct{}{}
	}
	ops := i.ops
	go func() {
		_, err := i.db.Commit(sent, ops...)
		f.done <- err
	}()
	i.flight = append(i.flight, f)
	i.ops, i.keys, i.lines, i.size = make([]client.Op, 0, importRows), make([]string, 0, importRows), make([]int, 0, importRows), 0
	return nil
}

func (i *importer) collides() bool {
	for _, key := range i.keys {
		if _, busy := i.busy[key]; busy {
			return true
		}
	}
	return false
}

// await waits for the oldest batch.
func (i *importer) await() error {
	f := i.flight[0]
	i.flight = i.flight[1:]
	err := <-f.done
	for _, key := range f.keys {
		delete(i.busy, key)
	}
	i.broken = i.broken || err != nil
	i.unsure = i.unsure || err != nil && !answered(err)
	if err != nil {
		return f.refused(err)
	}
	if !i.broken {
		i.stored += uint64(len(f.keys))
	}
	return nil
}

// answered reports that the daemon itself said that a batch is not stored.
func answered(err error) bool {
	for _, kind := range []error{client.ErrNotFound, client.ErrNoAccess, client.ErrConflict, client.ErrInvalid, client.ErrPrecondition, client.ErrExhausted} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// refused says where in the file the batch stands or, if one row is to blame, that row.
func (f *flight) refused(err error) error {
	first, last := f.lines[0], f.lines[len(f.lines)-1]
	placed := atLine(f.lines, err)
	switch {
	case placed != err && first == last:
		return placed
	case placed != err:
		return fmt.Errorf("%w; nothing of lines %d to %d was stored", placed, first, last)
	case first == last:
		return fmt.Errorf("line %d: %w", first, err)
	}
	return fmt.Errorf("lines %d to %d: %w", first, last, err)
}

// land waits for everything that is under way and returns the first error.
func (i *importer) land(err error) error {
	for len(i.flight) > 0 {
		if landed := i.await(); err == nil {
			err = landed
		}
	}
	return err
}
