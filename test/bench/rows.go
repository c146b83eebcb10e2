package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	database   = "places"
	collection = "cities"
	syncgroup  = "all"
	// syncLimit is when something between the daemons is given up.
	syncLimit = 5 * time.Minute
)

// syncLimit is when an initial sync is given up, even on a machine that does much else.
func (o options) syncLimit() time.Duration {
	return syncLimit + time.Duration(o.rows)*50*time.Microsecond
}

// makeRows writes rows of the size of a small JSON object, with keys in order.
func makeRows(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		fmt.Fprintf(w, `{"key":"AA/%02d/%06d","value":{"name":"place number %d","lat":%.5f,"lng":%.5f,"country":"AA","admin1":"%02d","admin2":""}}`+"\n",
			i*100/n, i, i, random.Float64()*180-90, random.Float64()*360-180, i*100/n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// measureRows imports on a, joins from b, and measures single changes between them.
func measureRows(ctx context.Context, opts options, a, b *daemon, t *table) error {
	if opts.only.has("change") {
		if err := measureSmallChange(ctx, opts.puts, a, b, t); err != nil {
			return err
		}
	}
	if err := a.found(ctx); err != nil {
		return err
	}
	rows, err := measureImport(ctx, opts, a, t)
	if err != nil {
		return err
	}
	if err := measureSync(ctx, opts, rows, a, b, t); err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		take func() error
	}{
		{"latency", func() error { return measureLatency(ctx, database, "bench/", opts.puts, a, b, t) }},
		{"change", func() error { return measureChange(ctx, database, opts.puts, rows, a, b, t) }},
		{"stream", func() error { return measureStream(ctx, 40*opts.puts, a, b, t) }},
		{"idle", func() error { return measureIdle(ctx, opts.idle, a, b, t) }},
		{"scan", func() error { return measureScan(ctx, a, t) }},
		{"writers", func() error { return measureWriters(ctx, 40*opts.puts, a, t) }},
		{"watchers", func() error { return measureWatchers(ctx, opts.puts/5, a, t) }},
	} {
		if !opts.only.has(m.name) {
			continue
		}
		if err := m.take(); err != nil {
			return err
		}
	}
	return nil
}

func measureImport(ctx context.Context, opts options, a *daemon, t *table) (rows int, err error) {
	cmd := exec.CommandContext(ctx, opts.binary, "--data", a.dir, "-o", "json", "import", database, collection, opts.data)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("import: %w", err)
	}
	var done struct {
		Rows    int
		Seconds float64
	}
	if err := json.Unmarshal(out, &done); err != nil {
		return 0, fmt.Errorf("import: %w", err)
	}
	if err := flush(filepath.Join(a.dir, "store")); err != nil {
		return 0, err
	}
	t.add("import", "rows/s", float64(done.Rows)/done.Seconds)
	peak, err := a.peakMiB()
	t.add("import: peak memory", "MiB", peak)
	return done.Rows, err
}

// flush waits until the disk has what the import wrote, so that the next measurement does not pay for it.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// measureSync takes the time from the join of an empty member until it holds everything.
func measureSync(ctx context.Context, opts options, rows int, a, b *daemon, t *table) error {
	ctx, cancel := context.WithTimeout(ctx, opts.syncLimit())
	defer cancel()
	status, err := a.Status(ctx)
	if err != nil {
		return err
	}
	clock, err := startMeter(ctx, a, b)
	if err != nil {
		return err
	}
	group := b.Database(database).Syncgroup(syncgroup)
	if _, _, err := group.Join(ctx, client.JoinOptions{Peer: status.PeerAddress}); err != nil {
		return err
	}
	if _, err := group.Wait(ctx); err != nil {
		return err
	}
	if err := clock.stop(ctx, t, "initial sync", "rows/s", float64(rows)); err != nil {
		return err
	}
	peakA, err := a.peakMiB()
	if err != nil {
		return err
	}
	t.add("initial sync: peak memory of a, import included", "MiB", peakA)
	peakB, err := b.peakMiB()
	if err != nil {
		return err
	}
	t.add("initial sync: peak memory of b", "MiB", peakB)
	return count(ctx, b, rows)
}

// measureScan reads every row of the daemon through the client.
func measureScan(ctx context.Context, d *daemon, t *table) error {
	clock, err := startMeter(ctx, d)
	if err != nil {
		return err
	}
	n := 0
	for _, err := range d.Database(database).Collection(collection).Scan(ctx, client.Range{}) {
		if err != nil {
			return err
		}
		n++
	}
	return clock.stop(ctx, t, "scan through the client", "rows/s", float64(n))
}

// count fails unless the daemon has so many rows.
func count(ctx context.Context, d *daemon, want int) error {
	got := 0
	for _, err := range d.Database(database).Collection(collection).Scan(ctx, client.Range{}) {
		if err != nil {
			return err
		}
		got++
	}
	if got != want {
		return fmt.Errorf("%s has %d rows after the sync, want %d", d.name, got, want)
	}
	return nil
}

// measureLatency puts rows with the prefix into a database on a, one after the other, and takes the time until a watch on b has the change.
func measureLatency(ctx context.Context, in, prefix string, puts int, a, b *daemon, t *table) error {
	ctx, cancel := context.WithTimeout(ctx, syncLimit)
	defer cancel()
	// events has the time at which each change was seen; opened is closed when the watch is there.
	events, opened := make(chan time.Time, 1), make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		first := true
		for batch, err := range b.Database(in).Watch(ctx, client.WatchOptions{Prefix: prefix}) {
			if err != nil {
				failed <- err
				return
			}
			if first {
				first = false
				close(opened)
			}
			for range batch.Changes {
				events <- time.Now()
			}
		}
	}()
	select {
	case <-opened:
	case err := <-failed:
		return err
	}
	c := a.Database(in).Collection(collection)
	var put, after, whole durations
	for i := range puts {
		began := time.Now()
		if _, err := c.Put(ctx, fmt.Sprintf("%s%06d", prefix, i), map[string]int{"n": i}); err != nil {
			return err
		}
		returned := time.Now()
		select {
		case seen := <-events:
			put = append(put, returned.Sub(began))
			after = append(after, max(0, seen.Sub(returned)))
			whole = append(whole, seen.Sub(began))
		case err := <-failed:
			return err
		}
	}
	put.add(t, "put")
	after.add(t, "put returned on A until watch event on B")
	whole.add(t, "put called on A until watch event on B")
	return nil
}
