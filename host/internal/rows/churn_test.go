package rows

import (
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// churning is how much BenchmarkSpace does: go test -bench Space -benchtime 1x ./host/internal/rows -args -churn 1000000
var churning = flag.Int("churn", 100_000, "rows that BenchmarkSpace creates and deletes; it edits one row a tenth as often")

// churn writes, deletes and reclaims on a real disk as a daemon does with its default limits.
type churn struct {
	tb    testing.TB
	dir   string
	kv    *kv.Store
	db    *DB
	value []byte
	rnd   *rand.ChaCha8
	// reclaiming is the time that reclamation took.
	reclaiming time.Duration
}

func newChurn(tb testing.TB, valueLen int) *churn {
	tb.Helper()
	c := &churn{tb: tb, dir: tb.TempDir(), value: make([]byte, valueLen), rnd: rand.NewChaCha8([32]byte{1})}
	var err error
	if c.kv, err = kv.Open(filepath.Join(c.dir, "store"), kv.Options{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.kv.Close() })
	s, err := Open(c.kv, Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
	if err != nil {
		tb.Fatal(err)
	}
	if c.db, err = s.Create(dbName, perm.For(owner, perm.DatabaseTags)); err != nil {
		tb.Fatal(err)
	}
	if _, err := c.db.SetSettings(func(s *Settings) { s.Durability = Async }); err != nil {
		tb.Fatal(err)
	}
	if err := c.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		tb.Fatal(err)
	}
	return c
}

// next is a value that cannot be compressed.
func (c *churn) next() []byte {
	c.rnd.Read(c.value)
	return c.value
}

func (c *churn) commit(ops ...Op) {
	c.tb.Helper()
	if _, err := c.db.Commit(ops, nil); err != nil {
		c.tb.Fatal(err)
	}
}

func (c *churn) reclaim() {
	c.tb.Helper()
	began := time.Now()
	defer func() { c.reclaiming += time.Since(began) }()
	limits := Limits{Before: began.Add(-24 * time.Hour), MaxBytes: 24 << 20, ReaderBytes: 96 << 20}
	for {
		got, err := c.db.Reclaim(limits)
		if err != nil {
			c.tb.Fatal(err)
		}
		if !got.More {
			return
		}
	}
}

// edits writes one row n times, each time in a commit of its own.
func (c *churn) edits(n int) {
	c.tb.Helper()
	for i := range n {
		c.commit(Op{Collection: notes, Key: "one", Value: c.next(), Raw: true})
		if i%1000 == 999 {
			c.reclaim()
		}
	}
	c.reclaim()
}

// pairs creates and deletes n rows, in commits of so many.
func (c *churn) pairs(n, batch int) {
	c.tb.Helper()
	for at := 0; at < n; at += batch {
		puts, deletes := make([]Op, batch), make([]Op, batch)
		for j := range batch {
			key := fmt.Sprintf("%08d", at+j)
			puts[j] = Op{Collection: notes, Key: key, Value: append([]byte(nil), c.next()...), Raw: true}
			deletes[j] = Op{Kind: OpDelete, Collection: notes, Key: key}
		}
		c.commit(puts...)
		c.commit(deletes...)
		if at/batch%10 == 9 {
			c.reclaim()
		}
	}
	c.reclaim()
}

// size is what all files take.
func (c *churn) size() (disk uint64) {
	c.tb.Helper()
	err := filepath.WalkDir(c.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if info, err := e.Info(); err == nil {
			disk += uint64(info.Size())
		}
		return nil // what is gone by now takes nothing
	})
	if err != nil {
		c.tb.Fatal(err)
	}
	return disk
}

// What was written over and deleted is kept up to the limit of history and no further: four times as much is written here.
func TestChurnIsReclaimed(t *testing.T) {
	c := newChurn(t, 16<<10)
	for _, part := range []struct {
		name string
		work func()
	}{{"edits", func() { c.edits(3000) }}, {"pairs", func() { c.pairs(3000, 50) }}} {
		part.work()
		space, err := c.db.Space()
		if err != nil {
			t.Fatal(err)
		}
		if used := c.db.used; used > 26<<20 || used != space.Live+space.Garbage {
			t.Errorf("%s: %d bytes are used, %+v", part.name, used, space)
		}
		if space.Floor == 0 || space.Floor >= space.Seq {
			t.Errorf("%s: the log begins at %d of %d", part.name, space.Floor, space.Seq)
		}
	}
}

// BenchmarkSpace tells what the disk is like after a lot was written over and deleted; its time is that of the whole run.
func BenchmarkSpace(b *testing.B) {
	for b.Loop() {
		c := newChurn(b, 100)
		for _, part := range []struct {
			name string
			work func()
		}{{"edits", func() { c.edits(*churning / 10) }}, {"pairs", func() { c.pairs(*churning, 1000) }}} {
			began := time.Now()
			c.reclaiming = 0
			part.work()
			space, err := c.db.Space()
			if err != nil {
				b.Fatal(err)
			}
			b.Logf("%s: %v, of which reclaiming %v; %.1f MiB on the disk, %.1f MiB of it tables; history of %.1f MiB", part.name,
				time.Since(began).Round(time.Second), c.reclaiming.Round(time.Second/10), float64(c.size())/(1<<20),
				float64(space.Disk)/(1<<20), float64(space.Garbage)/(1<<20))
		}
	}
}
