package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// largeBytes is the size of the largest value, largeInBatch as many of them as fit into a batch, and largeWriters put them.
	largeBytes   = 4 << 20
	largeInBatch = 7
	largeWriters = 4
	// largeTarget bounds what a daemon holds in memory, whatever its rows are like.
	largeTarget = "<= 256 MiB"
)

// measureLarge takes how much memory daemons need for rows of the largest size: for those who write, scan and watch them, and for
// members that pull them, two at a time.
func measureLarge(ctx context.Context, opts options, dir string, t *table) error {
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
	all := []*daemon{a}
	for _, name := range []string{"b", "c"} {
		if err := a.issue(ctx, name, filepath.Join(dir, name, "identity")); err != nil {
			return err
		}
		m, err := startAt(ctx, opts.binary, filepath.Join(dir, name), name, listening)
		if err != nil {
			return err
		}
		defer m.stop()
		all = append(all, m)
	}
	for _, step := range []struct {
		name string
		take func() error
	}{
		{"put one by one", func() error { return putLarge(ctx, a, "one/", opts.large, 1) }},
		{"put in batches", func() error { return putLarge(ctx, a, "many/", opts.large, largeInBatch) }},
		{"scanned by four", func() error { return fourTimes(func() error { return count(ctx, a, 2*opts.large) }) }},
		{"watched by four", func() error { return fourTimes(func() error { return watchAll(ctx, a, 2*opts.large) }) }},
		{"pulled by one", func() error { return pullLarge(ctx, a, all[1:2]) }},
		{"pulled by another", func() error { return pullLarge(ctx, a, all[2:]) }},
		{"put and pulled by two", func() error {
			return errors.Join(putLarge(ctx, a, "more/", opts.large, 1), pullLarge(ctx, a, all[1:]))
		}},
	} {
		if err := takePeaks(t, "values of 4 MiB, "+step.name, all, step.take); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

// takePeaks takes how much memory each daemon had at the most while something was done.
func takePeaks(t *table, name string, daemons []*daemon, do func() error) error {
	for _, d := range daemons {
		if err := d.forgetPeak(); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	t.add(name+": time", "s", time.Since(began).Seconds())
	for _, d := range daemons {
		peak, err := d.peakMiB()
		if err != nil {
			return err
		}
		line := name + ": peak memory of " + d.name
		t.add(line, "MiB", peak)
		t.target(line, "MiB", largeTarget)
	}
	return nil
}

// forgetPeak has peakMiB count from now on.
func (d *daemon) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", d.cmd.Process.Pid), []byte("5"), 0)
}

// putLarge puts n rows of the largest size, so many in each batch.
func putLarge(ctx context.Context, d *daemon, prefix string, n, inBatch int) error {
	c := d.Database(database).Collection(collection)
	return together(largeWriters, (n+inBatch-1)/inBatch, func(_, batch int) error {
		var ops []client.Op
		for i := batch * inBatch; i < min(n, (batch+1)*inBatch); i++ {
			op, err := c.PutOp(fmt.Sprintf("%s%06d", prefix, i), client.Value{Bytes: randomBytes(largeBytes), Raw: true})
			if err != nil {
				return err
			}
			ops = append(ops, op)
		}
		_, err := d.Database(database).Commit(ctx, ops...)
		return err
	})
}

// randomBytes do not compress.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		for j, r := 0, rand.Uint64(); j < 8; j++ {
			b[i+j] = byte(r >> (8 * j))
		}
	}
	return b
}

func fourTimes(do func() error) error {
	return together(4, 4, func(int, int) error { return do() })
}

// watchAll watches from the initial state on until it has seen so many rows.
func watchAll(ctx context.Context, d *daemon, rows int) error {
	seen := 0
	for batch, err := range d.Database(database).Watch(ctx, client.WatchOptions{Collection: collection, Initial: true}) {
		if err != nil {
			return err
		}
		for _, ch := range batch.Changes {
			if ch.Kind == client.Put {
				seen++
			}
		}
		if seen >= rows {
			return nil
		}
	}
	return ctx.Err()
}

// pullLarge has all of the members hold what a holds, at the same time.
func pullLarge(ctx context.Context, a *daemon, members []*daemon) error {
	status, err := a.Status(ctx)
	if err != nil {
		return err
	}
	failures := make([]error, len(members))
	var group sync.WaitGroup
	for i, m := range members {
		group.Go(func() { failures[i] = m.join(ctx, status.PeerAddress) })
	}
	group.Wait()
	return errors.Join(failures...)
}
