package rows

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// BenchmarkFirstCommit opens a store of a million rows whose history is beyond the quota, asks what is used, and measures what a
// put and a delete that come at that moment wait.
func BenchmarkFirstCommit(b *testing.B) {
	const rows = 1_000_000
	dir := filepath.Join(b.TempDir(), "store")
	open := func() (*kv.Store, *Store) {
		store, err := kv.Open(dir, kv.Options{})
		if err != nil {
			b.Fatal(err)
		}
		s, err := Open(store, Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
		if err != nil {
			b.Fatal(err)
		}
		return store, s
	}
	store, s := open()
	db, err := s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err == nil {
		err = db.CreateCollection(notes, perm.For(owner, perm.CollectionTags))
	}
	if err != nil {
		b.Fatal(err)
	}
	fill(b, 0, rows, func(i, j int) { putRows(b, db, i, j) })
	fill(b, 0, rows/2, func(i, j int) { putRows(b, db, i, j) })
	live, _, err := db.Used()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.SetSettings(func(s *Settings) { s.QuotaBytes = live + live/10 }); err != nil {
		b.Fatal(err)
	}
	var putWaits, deleteWaits time.Duration
	for b.Loop() {
		b.StopTimer()
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
		store, s = open()
		if db, err = s.Database(dbName); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		var all sync.WaitGroup
		wait := func(into *time.Duration, op Op) {
			all.Go(func() {
				begun := time.Now()
				if _, err := db.Commit([]Op{op}, nil); err != nil {
					b.Error(err)
				}
				*into += time.Since(begun)
			})
		}
		all.Go(func() {
			if _, _, err := db.Used(); err != nil {
				b.Error(err)
			}
		})
		wait(&putWaits, Op{Collection: notes, Key: "new", Value: []byte("1")})
		wait(&deleteWaits, Op{Kind: OpDelete, Collection: notes, Key: benchKey(1)})
		all.Wait()
	}
	b.ReportMetric(float64(putWaits.Milliseconds())/float64(b.N), "put-ms")
	b.ReportMetric(float64(deleteWaits.Milliseconds())/float64(b.N), "delete-ms")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
