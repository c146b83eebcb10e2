package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

// measureCuts takes how much an initial sync costs that is cut and resumed again and again, beside one that is not: two empty members
// join one after the other, the second over a line that resets all connections after equal parts of what the first one was sent.
func measureCuts(ctx context.Context, opts options, dir string, t *table) error {
	ctx, cancel := context.WithTimeout(ctx, opts.syncLimit())
	defer cancel()
	a, err := start(ctx, opts.binary, filepath.Join(dir, "a"), "a")
	if err != nil {
		return err
	}
	defer a.stop()
	if err := a.found(ctx); err != nil {
		return err
	}
	if err := fill(ctx, a.Database(database), collection, opts.rows); err != nil {
		return err
	}
	began := time.Now()
	whole, err := syncThrough(ctx, opts, a, filepath.Join(dir, "whole"), "whole", 0, 1)
	if err != nil {
		return err
	}
	wholeTime := time.Since(began)
	began = time.Now()
	cut, err := syncThrough(ctx, opts, a, filepath.Join(dir, "cut"), "cut", opts.cuts, int64(whole)/int64(opts.cuts+1))
	if err != nil {
		return err
	}
	cutTime := time.Since(began)
	base, name := "initial sync over a line: sent", fmt.Sprintf("initial sync cut and resumed %d times: sent", opts.cuts)
	t.add(base, "bytes a row", whole/float64(opts.rows))
	t.add(name, "bytes a row", cut/float64(opts.rows))
	t.compare(name, "bytes a row", base, "ratio <= 1.02")
	t.add("initial sync over a line, start of the member included", "s", wholeTime.Seconds())
	t.add(fmt.Sprintf("initial sync cut and resumed %d times, start of the member included", opts.cuts), "s", cutTime.Seconds())
	return nil
}

// syncThrough lets an empty member that nobody reaches join over a line with cuts, and returns how many bytes a has sent to it.
func syncThrough(ctx context.Context, opts options, a *daemon, dir, name string, cuts int, every int64) (sent float64, err error) {
	if err := a.issue(ctx, name, filepath.Join(dir, "identity")); err != nil {
		return 0, err
	}
	m, err := startAt(ctx, a.binary, dir, name, deaf)
	if err != nil {
		return 0, err
	}
	defer m.stop()
	status, err := a.Status(ctx)
	if err != nil {
		return 0, err
	}
	l, err := layWire(ctx, status.PeerAddress, cuts, every)
	if err != nil {
		return 0, err
	}
	defer l.close()
	if _, _, err := m.Database(database).Syncgroup(syncgroup).Join(ctx, client.JoinOptions{Peer: l.address()}); err != nil {
		return 0, err
	}
	if err := m.level(ctx, opts.rows); err != nil {
		return 0, err
	}
	if sent, err = a.sentTo(ctx, name); err != nil {
		return 0, err
	}
	made, left, back := l.state()
	if made < cuts+1 || left > 0 || float64(back) < sent/2 {
		return 0, fmt.Errorf("of %.0f bytes %d came over the line, in %d connections, and %d of %d cuts are left: the daemons found another way, or the rows are too few",
			sent, back, made, left, cuts)
	}
	return sent, count(ctx, m, opts.rows)
}

// sentTo is how many bytes the daemon has sent to a peer so far.
func (d *daemon) sentTo(ctx context.Context, name string) (float64, error) {
	for p, err := range d.Peers(ctx) {
		if err != nil {
			return 0, err
		}
		if p.Name == name {
			return float64(p.BytesSent), nil
		}
	}
	return 0, fmt.Errorf("%s knows no peer %s", d.name, name)
}

// level returns when the daemon holds so many rows, over however many connections that takes.
func (d *daemon) level(ctx context.Context, rows int) error {
	last := d.Database(database).Collection(collection)
	for {
		if peers, err := d.Database(database).Syncgroup(syncgroup).Wait(ctx); err == nil && peers > 0 {
			if found, err := last.Has(ctx, rowKey(rows-1)); err == nil && found {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not get the rows: %w", d.name, ctx.Err())
		}
	}
}
