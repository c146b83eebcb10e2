package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// Streams that bring more than the budget has room for wait for each other, a message beyond all of it for all others, and
// every message arrives.
func TestBudgetBoundsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1000
		b := newBudget(size)
		var waiting, most, arrived atomic.Int64
		var all sync.WaitGroup
		for i := range 5 {
			list := []delta.Message{{Progress: []delta.ScopeVector{}}}
			for range 10 {
				list = append(list, delta.Message{Commits: [][]byte{make([]byte, 100+i), make([]byte, 200)}})
			}
			if i == 3 {
				list = append(list, delta.Message{Commits: [][]byte{make([]byte, 3*size)}})
			}
			n := len(list)
			s := &metered{Stream: &script{t.Context(), list}, ctx: t.Context(), budget: b}
			messages := make(chan int64, n)
			all.Go(func() {
				defer close(messages)
				for range n {
					m, err := s.Recv()
					if err != nil {
						t.Error(err)
						return
					}
					var bytes int64
					for _, c := range m.Commits {
						bytes += int64(len(c))
					}
					most.Store(max(most.Load(), waiting.Add(min(bytes, size))))
					arrived.Add(1)
					messages <- bytes
				}
			})
			all.Go(func() {
				defer s.free()
				for bytes := range messages {
					time.Sleep(time.Millisecond)
					waiting.Add(-min(bytes, size))
					if bytes > 0 {
						if err := s.Credit(uint64(bytes)); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		if most.Load() > size || most.Load() < size/2 || arrived.Load() != 5*11+1 {
			t.Errorf("%d messages arrived, %d bytes waited at most, want 56 and at most %d", arrived.Load(), most.Load(), size)
		}
		if !b.left.TryAcquire(size) {
			t.Error("something of the budget is lost")
		}
	})
}

// A pull that ends while it waits for room, or with something that was not applied, gives all back.
func TestEndedPullFreesItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(10)
		ctx, cancel := context.WithCancel(t.Context())
		two := []delta.Message{{Commits: [][]byte{make([]byte, 6)}}, {Commits: [][]byte{make([]byte, 6)}}}
		s := &metered{Stream: &script{ctx, two}, ctx: ctx, budget: b}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		if m, err := s.Recv(); err == nil {
			t.Errorf("beyond the budget came %v", m)
		}
		s.free()
		if !b.left.TryAcquire(10) {
			t.Error("something of the budget is lost")
		}
	})
}

// All that two members have arrives although the budget has room for one value at a time, and for none of the largest.
func TestPullsWithinASmallBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		c := newDevice(t, "c")
		c.join("notes", a)
		b.follow(a, a.from(b, nil))
		c.follow(a, a.from(c, nil))
		synctest.Wait() // both have the collection
		a.engine.budget = newBudget(2000)
		for i := range 20 {
			b.put("notes", fmt.Sprintf("b%d", i), `"`+strings.Repeat("b", 100*i)+`"`)
			c.put("notes", fmt.Sprintf("c%d", i), `"`+strings.Repeat("c", 200*i)+`"`)
		}
		stopB, stopC := a.follow(b, b.from(a, nil)), a.follow(c, c.from(a, nil))
		time.Sleep(time.Minute)
		for i := range 20 {
			if got, want := len(a.get("notes", fmt.Sprintf("b%d", i)))+len(a.get("notes", fmt.Sprintf("c%d", i))), 300*i+4; got != want {
				t.Errorf("rows %d have %d bytes, want %d", i, got, want)
			}
		}
		stopB()
		stopC()
		if !a.engine.budget.left.TryAcquire(2000) {
			t.Error("something of the budget is lost")
		}
	})
}
