package rows

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// The benchmarks of this file come in pairs, the store and the bare key-value store doing the same with the same keys and
// values, so that their ratio is what the structure costs.

const benchRows, benchValueLen = 100_000, 110

// benchValue has a hundred bytes, a sixth of which differ from row to row, so that blocks compress as real ones do.
func benchValue(i int) []byte {
	const text = `{"name":"a place of name 0123456789abcdef","lat":"48.85341","lng":"2.3488","country":"FR","admin1":"11","a":0}`
	value := []byte(text)
	numberValue(value, i)
	return value
}

func numberValue(value []byte, i int) {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(i+1)*0x9e3779b97f4a7c15)
	hex.Encode(value[24:], number[:])
}

func benchKey(i int) string { return fmt.Sprintf("row/%09d", i) }

// processorTime is what the process has used so far, nil where that cannot be asked for.
var processorTime func(*testing.B) time.Duration

// metered adds the processor time of an operation, flushes and compactions that it set off meanwhile included, to what a
// benchmark reports. It hardly depends on what else the machine does.
func metered(b *testing.B) (report func()) {
	if processorTime == nil {
		return func() {}
	}
	before := processorTime(b)
	return func() { b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op") }
}

func openBench(b *testing.B) (*kv.Store, *DB) {
	b.Helper()
	store, err := kv.Open(filepath.Join(b.TempDir(), "store"), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	s, err := Open(store, Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
	if err != nil {
		b.Fatal(err)
	}
	db, err := s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		b.Fatal(err)
	}
	if err := db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		b.Fatal(err)
	}
	return store, db
}

func fill(b *testing.B, from, to int, write func(i, j int)) {
	b.Helper()
	for i := from; i < to; i += 1000 {
		write(i, min(i+1000, to))
	}
}

func putRows(b *testing.B, db *DB, i, j int) {
	ops := make([]Op, 0, j-i)
	for ; i < j; i++ {
		ops = append(ops, Op{Collection: notes, Key: benchKey(i), Value: benchValue(i)})
	}
	if _, err := db.Commit(ops, nil); err != nil {
		b.Fatal(err)
	}
}

func putBare(b *testing.B, store *kv.Store, i, j int) {
	batch := store.NewBatch()
	for ; i < j; i++ {
		batch.Set([]byte("\xf0"+benchKey(i)), benchValue(i))
	}
	if err := batch.Commit(kv.Sync); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGet(b *testing.B) {
	store, db := openBench(b)
	fill(b, 0, benchRows, func(i, j int) { putRows(b, db, i, j); putBare(b, store, i, j) })
	b.Run("rows", func(b *testing.B) {
		defer metered(b)()
		for b.Loop() {
			if _, err := db.Get(notes, benchKey(rand.IntN(benchRows))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		defer metered(b)()
		for b.Loop() {
			if _, err := store.Get([]byte("\xf0" + benchKey(rand.IntN(benchRows)))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	store, db := openBench(b)
	fill(b, 0, benchRows, func(i, j int) { putRows(b, db, i, j); putBare(b, store, i, j) })
	b.Run("rows", func(b *testing.B) {
		defer metered(b)()
		for b.Loop() {
			n := 0
			if err := db.Scan(notes, ScanRange{}, func(*RowView) (bool, error) { n++; return true, nil }); err != nil || n != benchRows {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("bare", func(b *testing.B) {
		defer metered(b)()
		for b.Loop() {
			it, err := store.Iter([]byte{0xf0}, []byte{0xf1})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for ok := it.First(); ok; ok = it.Next() {
				n += len(it.Value()) / benchValueLen
			}
			if err := it.Close(); err != nil || n != benchRows {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(benchRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

func BenchmarkBatchPut(b *testing.B) {
	store, db := openBench(b)
	batchPut(b, store, db)
}

// BenchmarkBatchPutShared is the same with the collection in a scope that peers may ask for.
func BenchmarkBatchPutShared(b *testing.B) {
	store, db := openBench(b)
	if err := db.Track(whole); err != nil {
		b.Fatal(err)
	}
	batchPut(b, store, db)
}

// benchBatches is how many batches each half writes before it is measured: until then memory tables and files of the log are made
// that are used again later, and what the other half left is written out.
const benchBatches = 100

func batchPut(b *testing.B, store *kv.Store, db *DB) {
	b.Helper()
	half := func(name string, write func(list []Op) error) {
		b.Run(name, func(b *testing.B) {
			list := make([]Op, 1000)
			i := 0
			next := func() {
				remake(list, i)
				i += len(list)
				if err := write(list); err != nil {
					b.Fatal(err)
				}
			}
			for range benchBatches {
				next()
			}
			defer metered(b)()
			for b.Loop() {
				next()
			}
			b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	half("rows", func(list []Op) error {
		_, err := db.Commit(list, nil)
		return err
	})
	var key []byte
	half("bare", func(list []Op) error {
		batch := store.NewBatch()
		for i := range list {
			key = append(append(key[:0], 0xf0), list[i].Key...)
			batch.Set(key, list[i].Value)
		}
		return batch.Commit(kv.Sync)
	})
}

// remake makes puts of the rows from i on. It uses the memory of the list again, as it is not to be told from that of the store.
func remake(list []Op, i int) {
	for k := range list {
		op := &list[k]
		op.Collection, op.Key = notes, benchKey(i+k)
		if op.Value == nil {
			op.Value = benchValue(i + k)
			continue
		}
		numberValue(op.Value, i+k)
	}
}

// BenchmarkPut commits single rows from 64 goroutines, which share syncs of the log.
func BenchmarkPut(b *testing.B) {
	store, db := openBench(b)
	b.SetParallelism(32)
	b.Run("rows", func(b *testing.B) {
		defer metered(b)()
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(1 << 30); pb.Next(); i++ {
				putRows(b, db, i, i+1)
			}
		})
	})
	b.Run("bare", func(b *testing.B) {
		defer metered(b)()
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(1 << 30); pb.Next(); i++ {
				putBare(b, store, i, i+1)
			}
		})
	})
}

// BenchmarkBatchPutRandom puts new rows whose keys lie scattered among those that are there.
func BenchmarkBatchPutRandom(b *testing.B) {
	store, db := openBench(b)
	benchKey := func(i int) string { return fmt.Sprintf("row/%016x", uint64(i)*0x9e3779b97f4a7c15) }
	b.Run("rows", func(b *testing.B) {
		defer metered(b)()
		i := 0
		for b.Loop() {
			ops := make([]Op, 0, 1000)
			for range 1000 {
				ops = append(ops, Op{Collection: notes, Key: benchKey(i), Value: benchValue(i)})
				i++
			}
			if _, err := db.Commit(ops, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		defer metered(b)()
		i := 0
		for b.Loop() {
			batch := store.NewBatch()
			for range 1000 {
				batch.Set([]byte("\xf0"+benchKey(i)), benchValue(i))
				i++
			}
			if err := batch.Commit(kv.Sync); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStartCommits starts eight commits of a row each together, as a message of a stream brings them, and waits for them.
func BenchmarkStartCommits(b *testing.B) {
	_, db := openBench(b)
	i := 0
	next := func() {
		lists := make([][]Op, 8)
		for k := range lists {
			lists[k] = []Op{{Collection: notes, Key: fmt.Sprint("row/", i), Value: benchValue(i)}}
			i++
		}
		for _, s := range db.StartCommits(lists, nil) {
			if _, err := s.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range benchBatches {
		next()
	}
	defer metered(b)()
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
}
