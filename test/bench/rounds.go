package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const (
	// past are the members that wrote once and are gone: with the two that are left the vectors have ten members.
	past = 8
	// probes and pulls are how many rounds are measured.
	probes, pulls = 500, 100
	// processorTime is how lines of it go on after what they are about.
	processorTime = ": processor time, the client's call included, of "
)

// measureRounds takes what a round costs two daemons that have nothing to tell each other, with vectors of ten members: a probe,
// which asks what the other holds, and a pull that is opened anew by each of them.
func measureRounds(ctx context.Context, opts options, dir string, t *table) error {
	a, err := start(ctx, opts.binary, filepath.Join(dir, "a"), "a")
	if err != nil {
		return err
	}
	defer a.stop()
	if err := a.found(ctx); err != nil {
		return err
	}
	for i := range past {
		name := fmt.Sprint("past", i)
		m, err := a.member(ctx, filepath.Join(dir, name), name, listening)
		if err != nil {
			return err
		}
		err = m.write(ctx, name, a)
		m.stop()
		if err != nil {
			return err
		}
	}
	b, err := a.member(ctx, filepath.Join(dir, "b"), "b", listening)
	if err != nil {
		return err
	}
	defer b.stop()
	for _, d := range []*daemon{a, b} {
		if err := d.write(ctx, d.name, a, b); err != nil {
			return err
		}
	}
	if err := quiet(ctx, a); err != nil {
		return err
	}
	group := b.Database(database).Syncgroup(syncgroup)
	probe := func() error { _, err := group.Wait(ctx); return err }
	const name = "no-op round, ten members"
	if err := measureRound(ctx, name, probes, probe, a, b, t); err != nil {
		return err
	}
	t.target(name+": both directions", "bytes", "<= 1024 bytes")
	for _, d := range []*daemon{a, b} {
		t.target(name+processorTime+d.name, "ms", "<= 2 ms")
	}
	// Two pulls, one each way, and a probe: three rounds.
	return measureRound(ctx, "sync paused and resumed, and a no-op round", pulls, func() error {
		db := b.Database(database)
		if err := db.PauseSync(ctx); err != nil {
			return err
		}
		if err := db.ResumeSync(ctx); err != nil {
			return err
		}
		return probe()
	}, a, b, t)
}

// measureRound takes bytes and processor time of a round that is made n times.
func measureRound(ctx context.Context, name string, n int, round func() error, a, b *daemon, t *table) error {
	before, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	for range n {
		if err := round(); err != nil {
			return err
		}
	}
	after, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	t.add(name+": both directions", "bytes", (after-before)/float64(n))
	for i, d := range clock.daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return err
		}
		t.add(name+processorTime+d.name, "ms", 1e3*(used-clock.before[i])/float64(n))
	}
	return nil
}

// write puts a row and returns when the others have it.
func (d *daemon) write(ctx context.Context, key string, others ...*daemon) error {
	if _, err := d.Database(database).Collection(collection).Put(ctx, key, map[string]string{"by": d.name}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, o := range others {
		for {
			found, err := o.Database(database).Collection(collection).Has(ctx, key)
			if err != nil {
				return err
			}
			if found {
				break
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("%s does not get the row %s of %s: %w", o.name, key, d.name, ctx.Err())
			}
		}
	}
	return nil
}

// quiet returns when the daemon has exchanged nothing with peers for two seconds: members still tell each other what they hold after
// the last write.
func quiet(ctx context.Context, d *daemon) error {
	last, since := -1.0, time.Now()
	for time.Since(since) < 2*time.Second {
		now, err := d.traffic(ctx)
		if err != nil {
			return err
		}
		if now != last {
			last, since = now, time.Now()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}
