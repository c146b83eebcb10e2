package rows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// reference: sync-190 while many write, what is published has no holes: a peer that takes everything that is published,
// again and again, gets every record once and in order.
//
// reference: sync-222 two databases are written at full speed, side by side, while they are read.
func TestPublishedHasNoHoles(t *testing.T) {
	const writers, each = 4, 60
	a, b := newDevice(t, 1), newDevice(t, 2)
	a.safeClock()
	b.safeClock()
	a.create()
	other, err := a.s.Create(id.Name{Owner: owner, Local: "other"}, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	if err := b.db.Track(whole); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range writers {
		for _, db := range []*DB{a.db, other} {
			all.Go(func() {
				for i := range each {
					op := Op{Collection: notes, Key: fmt.Sprintf("%d/%d", w, i%7), Value: []byte(fmt.Sprint(i))}
					versions, err := db.Commit([]Op{op}, nil)
					if err == nil && db.Published().Know.Own().Gen < versions[0].Gen {
						err = fmt.Errorf("%s is acknowledged but not published", versions[0])
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	all.Go(func() {
		for i := range each {
			if err := a.db.Track([]id.Scope{{Collection: notes, Prefix: fmt.Sprint(i)}}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	records := receiveUntil(t, b, a, done)
	if want := 1 + writers*each; records != want {
		t.Errorf("received %d records, want %d", records, want)
	}
	if got, want := b.rows(), a.rows(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	if state, batches := a.watched(); len(state) != len(a.rows()) || batches != 1+writers*each {
		t.Errorf("a watcher saw %d rows in %d batches, want %d in %d", len(state), batches, len(a.rows()), 1+writers*each)
	}
}

// receiveUntil pulls through one plan until done is closed and everything is there. It checks that generations come
// without holes and that the states that are published never go back.
func receiveUntil(t *testing.T, to, from *device, done <-chan struct{}) (records int) {
	t.Helper()
	plan := delta.NewPlan(to.db.Writer(), delta.Request(to.db.Published().Know, whole))
	var last Published
	gen := uint64(0)
	for finished := false; ; {
		state, more := from.db.More()
		if state.Seq < last.Seq || last.Know != nil && state.Know.Own().Gen < last.Know.Own().Gen {
			t.Errorf("published went from %+v back to %+v", last, state)
		}
		last = state
		step := Step{Scopes: whole}
		progress, err := from.db.Send(context.Background(), plan, func(o Outgoing) error {
			c, err := wire.DecodeCommit(append([]byte(nil), o.Commit...))
			step.Commits = append(step.Commits, c)
			if c.First != gen+1 {
				t.Errorf("generation %d after %d", c.First, gen)
			}
			gen = c.Last()
			return err
		})
		step.Progress = progress
		if err == nil {
			var got Received
			got, err = to.db.Receive(step)
			records += got.Records
		}
		if err != nil {
			t.Error(err)
			return records
		}
		if finished {
			return records
		}
		select {
		case <-more:
		case <-done:
			finished = true
		}
	}
}

// safeClock lets several goroutines write.
func (d *device) safeClock() {
	var mu sync.Mutex
	now := d.s.opts.Now
	d.s.opts.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now()
	}
}

// A batch that waits for its turn while the database goes away fails, and harms nothing.
func TestDestroyWhileOthersWrite(t *testing.T) {
	d := newDevice(t, 1)
	d.safeClock()
	d.create()
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				_, err := d.db.Commit([]Op{{Collection: notes, Key: "k", Value: []byte(`1`)}}, nil)
				if errors.Is(err, ErrDestroyed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if err := d.s.Destroy(dbName); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	for _, space := range spacesOfDatabase {
		prefix := dbKey(space, d.db.num)
		it, err := d.kv.Iter(prefix, append(prefix[:len(prefix):len(prefix)], 0xff))
		if err != nil {
			t.Fatal(err)
		}
		if it.First() {
			t.Errorf("space %#x still has %x", space, it.Key())
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
