package kv

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkLoad writes what an import of small rows comes down to: batches of 1,000 durable rows of about 110 bytes, with one
// key for each row or with two, as a row and its record in the log are. It is what imports are held against.
func BenchmarkLoad(b *testing.B) {
	const rows = 1000
	for _, keys := range []int{1, 2} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			store, err := Open(b.TempDir(), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			random := rand.NewChaCha8([32]byte{1})
			value := make([]byte, 110)
			n := uint64(0)
			for b.Loop() {
				batch := store.NewBatch()
				for range rows {
					_, _ = random.Read(value) // never fails
					for space := range keys {
						batch.Set(binary.BigEndian.AppendUint64([]byte{0x12, byte(space), 0, 0, 0, 1}, n), value)
					}
					n++
				}
				if err := batch.Commit(Sync); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkGroupCommit is 64 writers of one small durable key each: what concurrent puts through a client are held against.
func BenchmarkGroupCommit(b *testing.B) {
	store, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	var next atomic.Uint64
	b.SetParallelism((64 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		value := make([]byte, 110)
		for pb.Next() {
			batch := store.NewBatch()
			batch.Set(binary.BigEndian.AppendUint64([]byte{0x12, 0, 0, 0, 0, 1}, next.Add(1)), value)
			if err := batch.Commit(Sync); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}
