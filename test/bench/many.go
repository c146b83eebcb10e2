package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// writers put single rows at the same time, over connections of writersPerConn each.
	writers        = 64
	writersPerConn = 16
	// watchers see every change, over connections of watchersPerConn each.
	watchers        = 1000
	watchersPerConn = 125
	// apart is a collection that is not shared, so that no sync is measured with it.
	apart = "apart"
)

// connect opens more connections to the daemon; the caller closes them.
func (d *daemon) connect(ctx context.Context, n int) ([]*client.Client, error) {
	var all []*client.Client
	for range n {
		c, err := client.Dial(ctx, d.socket(), client.Options{})
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func closeAll(all []*client.Client) {
	for _, c := range all {
		_ = c.Close()
	}
}

// measureWriters has many clients put a row each, again and again, every put durable before it returns.
func measureWriters(ctx context.Context, puts int, d *daemon, t *table) error {
	conns, err := d.connect(ctx, writers/writersPerConn)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	if _, err := d.Database(database).Collection(apart).Create(ctx, nil); err != nil {
		return err
	}
	clock, err := startMeter(ctx, d)
	if err != nil {
		return err
	}
	var next atomic.Int64
	var group sync.WaitGroup
	failures := make([]error, writers)
	for w := range writers {
		group.Go(func() {
			c := conns[w/writersPerConn].Database(database).Collection(apart)
			for failures[w] == nil {
				i := next.Add(1)
				if i > int64(puts) {
					return
				}
				_, failures[w] = c.Put(ctx, fmt.Sprintf("many/%08d", i), map[string]int64{"n": i})
			}
		})
	}
	group.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return clock.stop(ctx, t, fmt.Sprintf("single puts of %d clients", writers), "puts/s", float64(puts))
}

// measureWatchers takes the time from the call of a put until each of many watchers has the change.
func measureWatchers(ctx context.Context, puts int, d *daemon, t *table) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns, err := d.connect(ctx, watchers/watchersPerConn)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	// seen has the time at which a watcher had its initial state or a change, or why it failed.
	type event struct {
		at  time.Time
		err error
	}
	seen := make(chan event, watchers)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for w := range watchers {
		group.Go(func() {
			db := conns[w/watchersPerConn].Database(database)
			for _, err := range db.Watch(ctx, client.WatchOptions{Collection: apart, Prefix: "fan/"}) {
				select {
				case seen <- event{time.Now(), err}:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	// all waits until every watcher has one more event.
	all := func(began time.Time, delays *durations) error {
		for range watchers {
			e := <-seen
			if e.err != nil {
				return e.err
			}
			if delays != nil {
				*delays = append(*delays, e.at.Sub(began))
			}
		}
		return nil
	}
	if err := all(time.Time{}, nil); err != nil {
		return err
	}
	c := d.Database(database).Collection(apart)
	var each, last durations
	for i := range puts {
		began := time.Now()
		if _, err := c.Put(ctx, fmt.Sprintf("fan/%06d", i), map[string]int{"n": i}); err != nil {
			return err
		}
		from := len(each)
		if err := all(began, &each); err != nil {
			return err
		}
		slowest := time.Duration(0)
		for _, delay := range each[from:] {
			slowest = max(slowest, delay)
		}
		last = append(last, slowest)
	}
	each.add(t, fmt.Sprintf("put called until a watcher of %d has it", watchers))
	last.add(t, fmt.Sprintf("put called until the last of %d watchers has it", watchers))
	return nil
}
