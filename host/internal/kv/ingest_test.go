package kv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever is in a batch, and whatever lies in memory tables and tables before it, ingesting it changes what applying it
// would change, and snapshots taken before do not see it.
func TestIngestChangesWhatApplyWould(t *testing.T) {
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		ingested, applied := openMem(t), openMem(t)
		for step := range 40 {
			a, b := ingested.NewBatch(), applied.NewBatch()
			for range random.IntN(60) {
				key := fmt.Appendf(nil, "%c%02d", "abc"[random.IntN(3)], random.IntN(50))
				if random.IntN(4) == 0 {
					a.Delete(key)
					b.Delete(key)
					continue
				}
				value := bytes.Repeat([]byte{byte(step)}, random.IntN(400))
				a.Set(key, value)
				b.Set(key, value)
			}
			if random.IntN(10) == 0 {
				a.DeleteRange([]byte("b1"), []byte("b2"))
				b.DeleteRange([]byte("b1"), []byte("b2"))
			}
			before, snap := dump(t, ingested, "a", "z"), ingested.Snapshot()
			enter := a.Ingest
			if random.IntN(3) == 0 {
				enter = a.Apply
			}
			if err := enter(); err != nil {
				t.Fatal(err)
			}
			if err := a.Wait(); err != nil {
				t.Fatal(err)
			}
			if err := b.Commit(Sync); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, dump(t, snap, "a", "z")); diff != "" {
				t.Fatalf("seed %d, step %d: the snapshot has changed:\n%s", seed, step, diff)
			}
			if err := snap.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(dump(t, applied, "a", "z"), dump(t, ingested, "a", "z")); diff != "" {
				t.Fatalf("seed %d, step %d (-applied +ingested):\n%s", seed, step, diff)
			}
		}
		if n := ingested.tables.Load(); n == 0 {
			t.Errorf("seed %d: no table was ingested", seed)
		}
	}
}

// At whatever write power fails, what is left is what some beginning of the batches made, with all that had returned as
// durable: also when a large one follows a small one that nobody had synced, or overwrites what it wrote.
func TestCrashWhileIngesting(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	type crash struct {
		fs      *MemFS
		durable int
	}
	// mu guards left and durable: tables are written side by side.
	var mu sync.Mutex
	var left []crash
	durable := 0
	fs.disk.wrote = func() {
		mu.Lock()
		defer mu.Unlock()
		left = append(left, crash{fs.CrashClone(), durable})
	}
	const steps = 6
	for i := 1; i <= steps; i++ {
		small, large := s.NewBatch(), s.NewBatch()
		small.Set(fmt.Appendf(nil, "a%d", 2*i-1), nil)
		small.Set([]byte("last"), fmt.Append(nil, 2*i-1))
		if err := small.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
		large.Set([]byte("last"), fmt.Append(nil, 2*i))
		large.Set(fmt.Appendf(nil, "a%d", 2*i), bytes.Repeat([]byte("x"), 8<<10))
		if err := large.Ingest(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		durable = 2 * i
		mu.Unlock()
		if err := large.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left) < 3*steps {
		t.Fatalf("only %d writes were seen", len(left))
	}
	for i, after := range left {
		s, err := Open("db", Options{FS: after.fs})
		if err != nil {
			t.Fatalf("after a crash at write %d: %v", i, err)
		}
		last := 0
		if value, err := s.Get([]byte("last")); err == nil {
			_, _ = fmt.Sscan(string(value), &last)
		}
		var want []string
		for n := 1; n <= last; n++ {
			want = append(want, fmt.Sprintf("a%d", n))
		}
		var got []string
		for n := 1; n <= 2*steps; n++ {
			if _, err := s.Get(fmt.Appendf(nil, "a%d", n)); err == nil {
				got = append(got, fmt.Sprintf("a%d", n))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || last < after.durable {
			t.Errorf("after a crash at write %d the last is %d, %d were durable (-want +got):\n%s", i, last, after.durable, diff)
		}
		if names, err := after.fs.diskFS().List("db/" + incoming); err != nil || len(names) > 0 {
			t.Errorf("after a crash at write %d: %v was left in %s, %v", i, names, incoming, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Without room for a batch nothing of it is taken, and the store goes on.
func TestNoRoomToIngest(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs, MinFreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	large := func() error {
		b := s.NewBatch()
		random := rand.NewChaCha8([32]byte{})
		for i := range 100 {
			value := make([]byte, 1000)
			_, _ = random.Read(value) // never fails
			b.Set(fmt.Appendf(nil, "k%02d", i), value)
		}
		if err := b.Ingest(); err != nil {
			return err
		}
		return b.Wait()
	}
	s.minFree = 0 // so that the writes of the tables fail, and not the look at the disk before
	fs.SetFree(50_000)
	if err := large(); err == nil || !strings.Contains(err.Error(), ErrFull.Error()) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if got := dump(t, s, "k", "l"); len(got) > 0 {
		t.Fatalf("%d keys are there", len(got))
	}
	fs.SetFree(10 << 20)
	if err := large(); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, s, "k", "l"); len(got) != 100 {
		t.Fatalf("%d keys are there, want 100", len(got))
	}
}
