package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// batchRows are created, and deleted, together; batchesInFlight such batches at a time.
	batchRows       = 1000
	batchesInFlight = 4
	// settleLimit is how long reclamation may take before what is left is taken as it is.
	settleLimit = 6 * time.Minute
	// settleRest is for how long nothing changes in a store that has come to rest: longer than until members say what they hold, which
	// they do once a minute, and the next round of reclamation.
	settleRest = 75 * time.Second
	// diskAllowance is what a store may take beside twice what is live, which is one row in the end.
	diskAllowance = 64 << 20
)

// measureChurn edits one row again and again, and creates and deletes many, while three members are connected, and takes what the
// store of each takes on the disk once the history has been reclaimed.
func measureChurn(ctx context.Context, opts options, dir string, t *table) error {
	a, err := start(ctx, opts.binary, filepath.Join(dir, "a"), "a")
	if err != nil {
		return err
	}
	defer a.stop()
	if err := a.found(ctx); err != nil {
		return err
	}
	members := []*daemon{a}
	for _, name := range []string{"b", "c"} {
		m, err := a.member(ctx, filepath.Join(dir, name), name, listening)
		if err != nil {
			return err
		}
		defer m.stop()
		members = append(members, m)
	}
	clock, err := startMeter(ctx, members...)
	if err != nil {
		return err
	}
	if err := a.edit(ctx, opts.edits); err != nil {
		return err
	}
	if err := clock.stop(ctx, t, "edits of one row with three members connected", "rows/s", float64(opts.edits)); err != nil {
		return err
	}
	if clock, err = startMeter(ctx, members...); err != nil {
		return err
	}
	if err := a.createAndDelete(ctx, opts.pairs); err != nil {
		return err
	}
	for _, m := range members {
		if _, err := m.Database(database).Syncgroup(syncgroup).Wait(ctx); err != nil {
			return err
		}
	}
	if err := clock.stop(ctx, t, "rows created, deleted and replicated", "rows/s", float64(opts.pairs)); err != nil {
		return err
	}
	return settle(ctx, members, t)
}

// settle waits until the stores are within their bounds and have come to rest, and takes what they hold then.
func settle(ctx context.Context, members []*daemon, t *table) error {
	began := time.Now()
	var most float64
	// back is when all came within their bounds to stay, rested since when nothing has changed.
	var back, rested time.Time
	var last []space
	for time.Since(began) < settleLimit && (back.IsZero() || time.Since(rested) < settleRest) {
		sizes := make([]space, len(members))
		within := true
		for i, m := range members {
			var err error
			if sizes[i], err = m.space(ctx); err != nil {
				return err
			}
			most = max(most, sizes[i].disk)
			within = within && sizes[i].disk <= diskAllowance
		}
		switch {
		case !within:
			back = time.Time{}
		case back.IsZero():
			back = time.Now()
		}
		if !slices.Equal(sizes, last) {
			last, rested = sizes, time.Now()
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !back.IsZero() {
		t.add("churn: time until every member is back under its bound", "s", back.Sub(began).Seconds())
	}
	t.add("churn: most on the disk of any member after the last write", "MiB", most/(1<<20))
	for i, m := range members {
		name := "churn: files of the store of " + m.name
		t.add(name, "MiB", last[i].disk/(1<<20))
		t.target(name, "MiB", fmt.Sprintf("<= %d MiB", diskAllowance>>20))
		t.add("churn: what "+m.name+" counts as live, deletes that are kept included", "MiB", last[i].live/(1<<20))
	}
	return nil
}

// space is what a store takes on the disk, and how much of it the daemon counts as live.
type space struct{ disk, live float64 }

func (d *daemon) space(ctx context.Context) (s space, err error) {
	status, err := d.Status(ctx)
	if err != nil {
		return s, err
	}
	for _, db := range status.Databases {
		s.live += float64(db.LiveBytes)
	}
	err = filepath.WalkDir(filepath.Join(d.dir, "store"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return gone(err)
		}
		info, err := e.Info()
		if err == nil {
			s.disk += float64(info.Size())
		}
		return gone(err)
	})
	return s, err
}

// gone forgives that a file is there no more: the daemon goes on.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// edit puts the same row n times, each time as a commit of its own, by many callers.
func (d *daemon) edit(ctx context.Context, n int) error {
	conns, err := d.connect(ctx, writers/writersPerConn)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	return together(writers, n, func(worker, _ int) error {
		_, err := conns[worker/writersPerConn].Database(database).Collection(collection).Put(ctx, "edited", randomValue())
		return err
	})
}

// createAndDelete makes n rows and deletes them again, batch by batch.
func (d *daemon) createAndDelete(ctx context.Context, n int) error {
	db := d.Database(database)
	return together(batchesInFlight, (n+batchRows-1)/batchRows, func(_, batch int) error {
		from, to := batch*batchRows, min(n, (batch+1)*batchRows)
		if err := putRows(ctx, db, collection, from, to); err != nil {
			return err
		}
		ops := make([]client.Op, 0, batchRows)
		for i := from; i < to; i++ {
			ops = append(ops, db.Collection(collection).DeleteOp(rowKey(i)))
		}
		_, err := db.Commit(ctx, ops...)
		return err
	})
}

// fill puts n rows, many at a time.
func fill(ctx context.Context, db *client.Database, collection string, n int) error {
	return together(batchesInFlight, (n+batchRows-1)/batchRows, func(_, batch int) error {
		return putRows(ctx, db, collection, batch*batchRows, min(n, (batch+1)*batchRows))
	})
}

func putRows(ctx context.Context, db *client.Database, collection string, from, to int) error {
	ops := make([]client.Op, 0, to-from)
	for i := from; i < to; i++ {
		op, err := db.Collection(collection).PutOp(rowKey(i), randomValue())
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	_, err := db.Commit(ctx, ops...)
	return err
}

func rowKey(i int) string { return fmt.Sprintf("row/%08d", i) }

// randomValue is about 100 bytes of JSON that hardly compress.
func randomValue() map[string]string {
	var b [72]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return map[string]string{"v": base64.StdEncoding.EncodeToString(b[:])}
}

// together calls work for 0 to n-1 with so many workers, and stops at the first failure.
func together(workers, n int, work func(worker, i int) error) error {
	var next atomic.Int64
	var failed atomic.Bool
	failures := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if failures[w] = work(w, i); failures[w] != nil {
					failed.Store(true)
				}
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}
