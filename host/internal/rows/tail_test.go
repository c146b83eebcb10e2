package rows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// log is everything that ReadLog has to say after the marker.
func (d *device) log(after uint64) (list []Batch) {
	d.t.Helper()
	if _, err := d.db.ReadLog(after, nil, func(b Batch) (bool, error) { list = append(list, b); return true, nil }); err != nil {
		d.t.Fatal(err)
	}
	return list
}

// Whatever the paces of writers and subscribers, and however small the tail, each subscription gets what ReadLog has.
func TestSubscriptionsEqualTheLog(t *testing.T) {
	d := newDevice(t, 1)
	rapid.Check(t, func(rt *rapid.T) {
		err := d.s.Destroy(dbName)
		if err == nil {
			d.db, err = d.s.Create(dbName, perm.For(owner, perm.DatabaseTags))
		}
		if err != nil {
			rt.Fatal(err)
		}
		d.create()
		d.db.tail.maxBatches = rapid.IntRange(1, 8).Draw(rt, "batches")
		d.db.tail.maxBytes = rapid.SampledFrom([]int{1, 600, 1 << 20}).Draw(rt, "bytes")
		type follower struct {
			s     *Subscription
			after uint64
			got   []Batch
		}
		var all []*follower
		read := func(f *follower, most int) {
			for i := 0; i < most && f.s.Marker() < d.db.Published().Seq; i++ {
				b, err := f.s.Next(context.Background())
				if err != nil {
					rt.Fatal(err)
				}
				f.got = append(f.got, b)
			}
		}
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				for range rapid.IntRange(1, 6).Draw(rt, "commits") {
					n++
					d.put(fmt.Sprint("k", n%5), fmt.Sprint(n))
				}
			},
			"subscribe": func(rt *rapid.T) {
				after := rapid.Uint64Range(0, d.db.Published().Seq).Draw(rt, "after")
				s, err := d.db.Subscribe(after)
				if err != nil {
					rt.Fatal(err)
				}
				all = append(all, &follower{s: s, after: after})
			},
			"read": func(rt *rapid.T) {
				if len(all) > 0 {
					read(rapid.SampledFrom(all).Draw(rt, "who"), rapid.IntRange(1, 10).Draw(rt, "most"))
				}
			},
			"leave": func(rt *rapid.T) {
				if len(all) > 1 {
					all[0].s.Close()
					all = all[1:]
				}
			},
		})
		for _, f := range all {
			read(f, 1<<30)
			if diff := cmp.Diff(d.log(f.after), f.got); diff != "" {
				rt.Errorf("after %d (-log +subscription):\n%s", f.after, diff)
			}
			f.s.Close()
		}
	})
}

// reference: store-303 subscribers of every pace get every change once and in order while it is being written.
func TestSubscribersRaceWriters(t *testing.T) {
	d := newDevice(t, 1).create()
	d.db.tail.maxBatches = 16
	const writers, each, readers = 4, 50, 8
	after := d.db.Published().Seq
	got := make([][]Batch, readers)
	var all sync.WaitGroup
	for r := range readers {
		s, err := d.db.Subscribe(after)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer s.Close()
			for len(got[r]) < writers*each {
				b, err := s.Next(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				got[r] = append(got[r], b)
				for i := 0; r%2 == 1 && i < 3; i++ {
					_ = d.log(after) // a slow one
				}
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				op := Op{Collection: notes, Key: fmt.Sprint(w), Value: fmt.Append(nil, i)}
				if _, err := d.db.Commit([]Op{op}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	want := d.log(after)
	for r := range got {
		if diff := cmp.Diff(want, got[r]); diff != "" {
			t.Errorf("reader %d (-log +subscription):\n%s", r, diff)
		}
	}
	if d.db.tail.ring != nil {
		t.Error("the tail is kept although nobody reads it")
	}
}

// reference: store-303 a marker beyond the end is refused, and a destroyed database ends its subscriptions.
func TestSubscriptionEnds(t *testing.T) {
	d := newDevice(t, 1).create()
	end := d.db.Published().Seq
	if _, err := d.db.Subscribe(end + 1); !errors.Is(err, ErrMarker) {
		t.Errorf("beyond the end: got %v, want ErrMarker", err)
	}
	s, err := d.db.Subscribe(end)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	result := make(chan error)
	go func() {
		_, err := s.Next(t.Context())
		result <- err
	}()
	if err := d.s.Destroy(dbName); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, ErrDestroyed) {
		t.Errorf("destroyed: got %v, want ErrDestroyed", err)
	}
}

// BenchmarkFanOut measures how long one change takes until each of 1,000 subscribers has it.
func BenchmarkFanOut(b *testing.B) {
	_, db := openBench(b)
	const subscribers = 1000
	var delivered sync.WaitGroup
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(b.Context())
	for range subscribers {
		s, err := db.Subscribe(db.Published().Seq)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer s.Close()
			for {
				if _, err := s.Next(ctx); err != nil {
					return
				}
				delivered.Done()
			}
		})
	}
	i := 0
	for b.Loop() {
		delivered.Add(subscribers)
		putRows(b, db, i, i+1)
		delivered.Wait()
		i++
	}
	cancel()
	all.Wait()
}
