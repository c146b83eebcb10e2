package kv

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBatchIsVisibleWholeAndInOrder(t *testing.T) {
	s := openMem(t)
	b := s.NewBatch()
	for _, k := range []string{"b", "a", "c", "d"} {
		b.Set([]byte(k), []byte("v"+k))
	}
	b.Delete([]byte("d"))
	if err := b.Commit(Sync); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a=va", "b=vb", "c=vc"}, dump(t, s, "a", "z")); diff != "" {
		t.Errorf("after the batch (-want +got):\n%s", diff)
	}
	snap := s.Snapshot()
	defer snap.Close()
	b = s.NewBatch()
	b.DeleteRange([]byte("a"), []byte("c"))
	if err := b.Commit(NoSync); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c=vc"}, dump(t, s, "a", "z")); diff != "" {
		t.Errorf("after the range delete (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a=va", "b=vb", "c=vc"}, dump(t, snap, "a", "z")); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
}

func TestOnlyWhatWasSyncedSurvivesACrash(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	put := func(k string) *Batch {
		b := s.NewBatch()
		b.Set([]byte(k), []byte("v"))
		return b
	}
	if err := put("synced").Commit(Sync); err != nil {
		t.Fatal(err)
	}
	waited := put("waited")
	if err := errors.Join(waited.Apply(), waited.Wait()); err != nil {
		t.Fatal(err)
	}
	if err := put("lost").Commit(NoSync); err != nil {
		t.Fatal(err)
	}
	clone := fs.CrashClone()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := Open("db", Options{FS: clone})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if diff := cmp.Diff([]string{"synced=v", "waited=v"}, dump(t, after, "a", "z")); diff != "" {
		t.Errorf("after the crash (-want +got):\n%s", diff)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if second, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second open of one directory: %v, %v; want ErrLocked", second, err)
	}
}

func TestNewerFormatIsRefusedUntouched(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Set(formatKey, []byte("999"))
	if err := errors.Join(b.Commit(Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open("db", Options{FS: fs}); !errors.Is(err, ErrNewerFormat) {
			t.Errorf("open of format 999: %v; want ErrNewerFormat", err)
		}
	}
}

func TestGetOfAnAbsentKey(t *testing.T) {
	if _, err := openMem(t).Get([]byte("k")); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// reference: store-006 the end of a prefix counts its last byte up, carries over bytes that cannot be, and is none where
// there is none.
func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ in, want string }{{"a", "b"}, {"a\xff", "b"}, {"a\xfe", "a\xff"}, {"\xff\xff", ""}, {"", ""}} {
		if got := string(PrefixEnd([]byte(c.in))); got != c.want {
			t.Errorf("PrefixEnd(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestFindSeesWhatIsThere(t *testing.T) {
	s := openMem(t)
	for round := range 3 {
		b := s.NewBatch()
		for i := round; i < 3000; i += 3 {
			b.Set(fmt.Appendf(nil, "k%06d", 2*i), fmt.Appendf(nil, "v%d", i))
		}
		b.Delete([]byte("k000010"))
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Compact(t.Context(), []byte("k"), []byte("l"), false); err != nil {
		t.Fatal(err)
	}
	it, err := s.Iter([]byte("k000002"), []byte("k005000"))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for i := range 6100 {
		key := fmt.Sprintf("k%06d", i)
		want := i%2 == 0 && i != 10 && i >= 2 && i < 5000
		if found := it.Find([]byte(key)); found != want {
			t.Fatalf("Find(%s) = %t, want %t", key, found, want)
		}
		if want && string(it.Value()) != fmt.Sprintf("v%d", i/2) {
			t.Fatalf("value of %s is %q", key, it.Value())
		}
	}
	if !it.Find([]byte("k000004")) || !it.SeekGE([]byte("k000005")) || string(it.Key()) != "k000006" {
		t.Error("moves after Find go astray")
	}
}

func openMem(t *testing.T) *Store {
	t.Helper()
	s, err := OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func dump(t *testing.T, r Reader, lo, hi string) []string {
	t.Helper()
	it, err := r.Iter([]byte(lo), []byte(hi))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for ok := it.First(); ok; ok = it.Next() {
		rows = append(rows, string(it.Key())+"="+string(it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}
