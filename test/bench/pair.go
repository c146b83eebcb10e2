package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// traffic is how many bytes the daemon has exchanged with peers so far, without what TCP and IP add.
func (d *daemon) traffic(ctx context.Context) (float64, error) {
	var sum uint64
	for p, err := range d.Peers(ctx) {
		if err != nil {
			return 0, err
		}
		sum += p.BytesReceived + p.BytesSent
	}
	return float64(sum), nil
}

// measureIdle takes what a pair costs that has nothing to do.
func measureIdle(ctx context.Context, wait time.Duration, a, b *daemon, t *table) error {
	time.Sleep(5 * time.Second) // until what went before has ended
	before, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	time.Sleep(wait)
	after, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	seconds := time.Since(clock.began).Seconds()
	t.add("idle pair, both directions", "bytes/s", (after-before)/seconds)
	for i, d := range clock.daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return err
		}
		t.add("idle pair: processor of "+d.name+" with its plugins", "%", 100*(used-clock.before[i])/seconds)
	}
	return nil
}

// measureChange takes what the round of one changed row costs, among as many rows as there are: each put is awaited on b before the
// next.
func measureChange(ctx context.Context, puts, rows int, a, b *daemon, t *table) error {
	before, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	if err := measureLatency(ctx, "change/", puts, a, b, &table{}); err != nil {
		return err
	}
	after, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("one changed row in %d", rows)
	t.add(name, "bytes", (after-before)/float64(puts))
	for i, d := range clock.daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return err
		}
		t.add(name+": processor time of "+d.name, "us", 1e6*(used-clock.before[i])/float64(puts))
	}
	return nil
}

// measureStream has many clients put single durable rows on a, and takes the time until b has all of them.
func measureStream(ctx context.Context, puts int, a, b *daemon, t *table) error {
	conns, err := a.connect(ctx, writers/writersPerConn)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make([]error, writers)
	for w := range writers {
		c := conns[w/writersPerConn].Database(database).Collection(collection)
		group.Go(func() {
			for failures[w] == nil {
				i := next.Add(1)
				if i > int64(puts) {
					return
				}
				_, failures[w] = c.Put(ctx, fmt.Sprintf("stream/%07d", i), map[string]int64{"n": i})
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	t.add("stream of single durable rows: written", "rows/s", float64(puts)/time.Since(clock.began).Seconds())
	if _, err := b.Database(database).Syncgroup(syncgroup).Wait(ctx); err != nil {
		return err
	}
	return clock.stop(ctx, t, "stream of single durable rows: replicated", "rows/s", float64(puts))
}
