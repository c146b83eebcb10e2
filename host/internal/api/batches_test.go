package api

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

func newDB(t testing.TB, w *world) *rows.DB {
	t.Helper()
	db, err := w.rows.Create(dbName("db"), perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustBegin(t testing.TB, b *batches, caller id.Principal, db *rows.DB) string {
	t.Helper()
	handle, err := b.begin(context.Background(), nil, caller, db, false)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

// reference: store-302
// A batch that is not used for a minute is given up; every use by who began it puts that off, however long it lasts, and what
// it wrote can be committed then. For anybody else it is none.
func TestBatchExpires(t *testing.T) {
	w := newWorld(t)
	db := newDB(t, w)
	c := id.Collection{Name: dbName("c")}
	if err := db.CreateCollection(c, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	var taken *openBatch
	synctest.Test(t, func(t *testing.T) {
		b := newBatches()
		defer b.close()
		idle, used, busy := mustBegin(t, b, owner, db), mustBegin(t, b, owner, db), mustBegin(t, b, owner, db)
		long, err := b.use(busy, owner)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			time.Sleep(batchIdle - time.Second)
			if _, err := b.use(used, friend); !errors.Is(err, errUnknownBatch) {
				t.Errorf("by somebody else: %v", err)
			}
			x, err := b.use(used, owner)
			if err == nil {
				err = x.tx.Write(rows.Op{Collection: c, Key: fmt.Sprint("k", i), Value: []byte("1")})
			}
			if err != nil {
				t.Fatal(err)
			}
			b.release(x)
		}
		if _, err := b.take(used, friend); !errors.Is(err, errUnknownBatch) {
			t.Errorf("taken by somebody else: %v", err)
		}
		if taken, err = b.take(used, owner); err != nil {
			t.Fatal(err)
		}
		if _, err := b.use(idle, owner); !errors.Is(err, errUnknownBatch) {
			t.Errorf("a batch that nobody used for three minutes: %v", err)
		}
		if err := b.keep(long, 1); err != nil {
			t.Errorf("a batch with a call under way for three minutes: %v", err)
		}
		b.release(long)
		time.Sleep(batchIdle)
		synctest.Wait()
		if b.total != 0 || len(b.open) != 0 || len(b.count) != 0 || b.bytes != 0 {
			t.Errorf("after everything has expired %d batches are counted, %d open, %d bytes", b.total, len(b.open), b.bytes)
		}
	})
	if _, err := taken.tx.Commit(nil); err != nil {
		t.Fatalf("commit after three minutes: %v", err)
	}
	for i := range 3 {
		if _, err := db.Get(c, fmt.Sprint("k", i)); err != nil {
			t.Errorf("what was written before minute %d: %v", i, err)
		}
	}
}

// reference: store-302
// One caller, and all together, may have so many batches open and no more; what ends makes room.
func TestBatchLimits(t *testing.T) {
	db := newDB(t, newWorld(t))
	b := newBatches()
	defer b.close()
	var last string
	for range maxBatchesEach {
		last = mustBegin(t, b, owner, db)
	}
	if _, err := b.begin(context.Background(), nil, owner, db, false); !errors.Is(err, errTooManyBatches) {
		t.Errorf("one batch too many for a caller: %v", err)
	}
	x, err := b.take(last, owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.tx.Abort(); err != nil {
		t.Fatal(err)
	}
	last = mustBegin(t, b, owner, db)
	for i := b.total; i < maxBatches; i++ {
		mustBegin(t, b, id.Principal(fmt.Sprintf("friends.local/p%d", i/maxBatchesEach)), db)
	}
	if _, err := b.begin(context.Background(), nil, "friends.local/late", db, false); !errors.Is(err, errTooManyBatches) {
		t.Errorf("one batch too many for the daemon: %v", err)
	}
	if x, err = b.use(last, owner); err != nil {
		t.Fatal(err)
	}
	if err := b.keep(x, maxBatchBytes); err != nil {
		t.Fatal(err)
	}
	if err := b.keep(x, 1); !errors.Is(err, errTooManyBatches) {
		t.Errorf("one byte too much: %v", err)
	}
	b.release(x)
}

func TestClosedBatches(t *testing.T) {
	db := newDB(t, newWorld(t))
	b := newBatches()
	handle := mustBegin(t, b, owner, db)
	b.close()
	if _, err := b.use(handle, owner); !errors.Is(err, errUnknownBatch) {
		t.Errorf("a batch after the end: %v", err)
	}
	if _, err := b.begin(context.Background(), nil, owner, db, false); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a batch that begins after the end: %v", err)
	}
}
