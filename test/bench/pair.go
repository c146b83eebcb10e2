package main

import (
	"context"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
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

// measureIdle takes what a pair costs that has nothing to do, the daemons and their plugins each by themselves.
func measureIdle(ctx context.Context, wait time.Duration, a, b *daemon, t *table) error {
	time.Sleep(5 * time.Second) // until what went before has ended
	bytes, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	type part struct {
		of     string
		pids   []int
		before float64
	}
	var parts []part
	for _, d := range []*daemon{a, b} {
		plugins, err := d.plugins(ctx)
		if err != nil {
			return err
		}
		parts = append(parts, part{of: d.name, pids: []int{d.cmd.Process.Pid}}, part{of: "the plugins of " + d.name, pids: plugins})
	}
	began := time.Now()
	for i, p := range parts {
		if parts[i].before, err = threadSeconds(p.pids...); err != nil {
			return err
		}
	}
	time.Sleep(wait)
	seconds := time.Since(began).Seconds()
	for _, p := range parts {
		used, err := threadSeconds(p.pids...)
		if err != nil {
			return err
		}
		t.add("idle pair: processor of "+p.of, "%", 100*(used-p.before)/seconds)
		t.target("idle pair: processor of "+p.of, "%", "< 0.1 % with plugins")
	}
	after, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	t.add("idle pair, both directions", "bytes/s", (after-bytes)/seconds)
	t.target("idle pair, both directions", "bytes/s", "< 200 bytes/s")
	return nil
}

const (
	// small is a database of few rows, which what a change costs among many is held against.
	small     = "small"
	smallRows = 1000
)

// measureSmallChange takes what the round of one changed row costs among few rows, in a database of its own.
func measureSmallChange(ctx context.Context, puts int, a, b *daemon, t *table) error {
	if err := a.foundIn(ctx, small); err != nil {
		return err
	}
	if err := fill(ctx, a.Database(small), collection, smallRows); err != nil {
		return err
	}
	status, err := a.Status(ctx)
	if err != nil {
		return err
	}
	group := b.Database(small).Syncgroup(syncgroup)
	if _, _, err := group.Join(ctx, client.JoinOptions{Peer: status.PeerAddress}); err != nil {
		return err
	}
	if _, err := group.Wait(ctx); err != nil {
		return err
	}
	return measureChange(ctx, small, puts, smallRows, a, b, t)
}

// measureChange takes what the round of one changed row costs, among as many rows as the database has: each put is awaited on b
// before the next.
func measureChange(ctx context.Context, in string, puts, rows int, a, b *daemon, t *table) error {
	if err := quiet(ctx, a); err != nil {
		return err
	}
	before, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	if err := measureLatency(ctx, in, "change/", puts, a, b, &table{}); err != nil {
		return err
	}
	after, err := a.traffic(ctx)
	if err != nil {
		return err
	}
	name, few := changeIn(rows), changeIn(smallRows)
	t.add(name, "bytes", (after-before)/float64(puts))
	if rows != smallRows {
		t.compare(name, "bytes", few, "ratio <= 2")
	}
	for i, d := range clock.daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return err
		}
		t.add(name+processorTimeOf+d.name, "us", 1e6*(used-clock.before[i])/float64(puts))
		if rows != smallRows {
			t.compare(name+processorTimeOf+d.name, "us", few+processorTimeOf+d.name, "ratio <= 2")
		}
	}
	return nil
}

const processorTimeOf = ": processor time of "

func changeIn(rows int) string { return fmt.Sprintf("one changed row in %d", rows) }

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
	err = together(writers, puts, func(worker, i int) error {
		c := conns[worker/writersPerConn].Database(database).Collection(collection)
		_, err := c.Put(ctx, fmt.Sprintf("stream/%07d", i+1), map[string]int64{"n": int64(i + 1)})
		return err
	})
	if err != nil {
		return err
	}
	t.add("stream of single durable rows: written", "rows/s", float64(puts)/time.Since(clock.began).Seconds())
	if _, err := b.Database(database).Syncgroup(syncgroup).Wait(ctx); err != nil {
		return err
	}
	const replicated = "stream of single durable rows: replicated"
	t.target(replicated, "rows/s", ">= 20000 rows/s")
	return clock.stop(ctx, t, replicated, "rows/s", float64(puts))
}
