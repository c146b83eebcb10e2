package api

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// diskWorld is a world over rows in a directory, so that what is measured includes the disk.
func diskWorld(b *testing.B) *world {
	store, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return newWorldOn(b, store)
}

const sample = `{"name":"El Tarter","lat":42.57952,"lng":1.65362,"country":"AD","admin1":"02","admin2":""}`

func fillRows(b *testing.B, c *client.Collection, db *client.Database, n int) {
	var ops []client.Op
	for i := range n {
		op, err := c.PutOp(fmt.Sprintf("AD/%07d", i), client.Value{Bytes: []byte(sample)})
		if err != nil {
			b.Fatal(err)
		}
		if ops = append(ops, op); len(ops) == 1000 || i == n-1 {
			if _, err := db.Commit(b.Context(), ops...); err != nil {
				b.Fatal(err)
			}
			ops = ops[:0]
		}
	}
}

func BenchmarkScan(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	const n = 100_000
	fillRows(b, c, w.client().Database("db"), n)
	for b.Loop() {
		rows := 0
		for _, err := range c.Scan(b.Context(), client.Range{}) {
			if err != nil {
				b.Fatal(err)
			}
			rows++
		}
		if rows != n {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkPut(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	for i := 0; b.Loop(); i++ {
		if _, err := c.Put(b.Context(), fmt.Sprint(i), client.Value{Bytes: []byte(sample)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	fillRows(b, c, w.client().Database("db"), 1000)
	for b.Loop() {
		if _, err := c.Get(b.Context(), "AD/0000500"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutToWatch is the time from the beginning of a put to its change at a watcher.
func BenchmarkPutToWatch(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	seen := watch(b, w.client().Database("db"), client.WatchOptions{})
	seen.next(b)
	for i := 0; b.Loop(); i++ {
		if _, err := c.Put(b.Context(), fmt.Sprint(i), client.Value{Bytes: []byte(sample)}); err != nil {
			b.Fatal(err)
		}
		seen.next(b)
	}
}

// BenchmarkCommit1000 is one batch of an import after the other; an import keeps several under way.
func BenchmarkCommit1000(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	db := w.client().Database("db")
	for b.Loop() {
		fillRows(b, c, db, 1000)
	}
	b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkFanOut is the time from the beginning of a put until the last of a thousand watchers, on eight connections,
// has its change.
func BenchmarkFanOut(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	var all []*watching
	var db *client.Database
	for i := range 1000 {
		if i%125 == 0 {
			db = w.client().Database("db")
		}
		s := watch(b, db, client.WatchOptions{Collection: "c"})
		s.next(b)
		all = append(all, s)
	}
	for i := 0; b.Loop(); i++ {
		if _, err := c.Put(b.Context(), fmt.Sprint(i), client.Value{Bytes: []byte(sample)}); err != nil {
			b.Fatal(err)
		}
		for _, s := range all {
			s.next(b)
		}
	}
}

// BenchmarkRunInBatch is a batch of one read and one write, of which nobody else knows.
func BenchmarkRunInBatch(b *testing.B) {
	w := diskWorld(b)
	c := w.collection("db", "c")
	db := w.client().Database("db")
	for i := 0; b.Loop(); i++ {
		err := db.RunInBatch(b.Context(), client.RunOptions{}, func(tx *client.Tx) error {
			if _, err := tx.Get(b.Context(), c, "k"); err != nil && !errors.Is(err, client.ErrNotFound) {
				return err
			}
			return tx.Put(b.Context(), c, "k", i)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPutMany is 64 callers on four connections, each putting one row after the other.
func BenchmarkPutMany(b *testing.B) {
	w := diskWorld(b)
	w.collection("db", "c")
	putMany(b, w.client)
}

func putMany(b *testing.B, dial func() *client.Client) {
	b.Helper()
	var all []*client.Collection
	for range 4 {
		all = append(all, dial().Database("db").Collection("c"))
	}
	var callers, next atomic.Uint64
	b.SetParallelism((64 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		c := all[callers.Add(1)%4]
		for pb.Next() {
			if _, err := c.Put(b.Context(), fmt.Sprint(next.Add(1)), client.Value{Bytes: []byte(sample)}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}
