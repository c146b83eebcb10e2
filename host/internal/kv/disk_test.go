package kv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func set(t *testing.T, s *Store, key string, size int) error {
	t.Helper()
	b := s.NewBatch()
	b.Set([]byte(key), make([]byte, size))
	return b.Commit(Sync)
}

// reference: store-304 a commit for which the disk has no room fails with an error that says so and leaves nothing behind;
// writing goes on by itself once there is room.
func TestFullDisk(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	fs.SetFree(4 << 20)
	n := 0
	for ; err == nil && n < 10_000; n++ {
		err = set(t, s, fmt.Sprintf("k%06d", n), 10_000)
	}
	if !errors.Is(err, ErrFull) || n < 100 {
		t.Fatalf("write %d: got %v, want ErrFull", n, err)
	}
	if _, err := s.Get(fmt.Appendf(nil, "k%06d", n-1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("the write that failed: got %v, want ErrNotFound", err)
	}
	fs.SetFree(1 << 20)
	b := s.NewBatch()
	b.Set([]byte("applied"), nil)
	if err := b.Apply(); !errors.Is(err, ErrFull) {
		t.Errorf("applying: got %v, want ErrFull", err)
	}
	b = s.NewBatch()
	b.Reclaims()
	b.DeleteRange([]byte("k"), []byte("l"))
	if err := b.Commit(Sync); err != nil {
		t.Errorf("making room: %v", err)
	}
	fs.SetFree(8 << 20)
	if err := set(t, s, "again", 10); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// A store whose log could not be written out is not opened, instead of being opened for as long as there is no room.
func TestFullDiskIsNotOpened(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(set(t, s, "k", 100_000), s.Close()); err != nil {
		t.Fatal(err)
	}
	fs.SetFree(100_000)
	if s, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20}); !errors.Is(err, ErrFull) {
		t.Fatalf("opened %v, %v; want ErrFull", s, err)
	}
	read, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20, ReadOnly: true})
	if err != nil {
		t.Fatalf("reading only: %v", err)
	}
	if err := read.Close(); err != nil {
		t.Error(err)
	}
	fs.SetFree(1 << 20)
	if s, err = Open("db", Options{FS: fs, MinFreeBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if v, err := s.Get([]byte("k")); err != nil || len(v) != 100_000 {
		t.Errorf("what was there: %d bytes, %v", len(v), err)
	}
}

// What the reserve is there to prevent: a write of the log that fails on the disk. Nothing may be acknowledged then, nor
// anything after it; what was acknowledged before survives.
func TestFailedLogWriteEndsWriting(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	s.minFree = 0
	if err := set(t, s, "before", 10); err != nil {
		t.Fatal(err)
	}
	fs.SetFree(0)
	for i := range 5 {
		if err := set(t, s, fmt.Sprint("lost", i), 10); !errors.Is(err, ErrFailed) {
			t.Errorf("write %d on a full disk: got %v, want ErrFailed", i, err)
		}
		fs.SetFree(1 << 20)
	}
	b := s.NewBatch()
	b.Set([]byte("lost"), nil)
	if err := b.Apply(); !errors.Is(err, ErrFailed) {
		t.Errorf("applying: got %v, want ErrFailed", err)
	}
	s, err = Open("db", Options{FS: fs.CrashClone()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Get([]byte("before")); err != nil {
		t.Errorf("what was acknowledged: %v", err)
	}
	if _, err := s.Get([]byte("lost0")); !errors.Is(err, ErrNotFound) {
		t.Errorf("what failed: got %v, want ErrNotFound", err)
	}
}

// On a full disk a removed range is flushed, so that the tables below it go away without a restart.
func TestRemovalGivesBack(t *testing.T) {
	fs, changed := NewMemFS(), make(chan struct{}, 1)
	s, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20, changed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	random := rand.NewChaCha8([32]byte{})
	for n := range 200 {
		value := make([]byte, 10_000)
		_, _ = random.Read(value)
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "k%06d", n), value)
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	full := s.db.Metrics().Total().TablesSize
	fs.SetFree(1 << 20)
	b := s.NewBatch()
	b.Reclaims()
	b.DeleteRange([]byte("k"), []byte("l"))
	if err := b.Commit(Sync); err != nil {
		t.Fatal(err)
	}
	for late := time.After(time.Minute); s.db.Metrics().Total().TablesSize > full/2; {
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the tables still take %d of %d bytes", s.db.Metrics().Total().TablesSize, full)
		}
	}
}

// Power can be lost while files are renamed and linked: cloning waits for that, and nobody waits for ever.
func TestCloneWhileFilesAreReused(t *testing.T) {
	mem := NewMemFS()
	fs := mem.diskFS()
	var clones, reuses sync.WaitGroup
	over := make(chan struct{})
	clones.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				mem.CrashClone()
			}
		}
	})
	for i := range 4 {
		reuses.Go(func() {
			name := func(n int) string { return fmt.Sprintf("%d-%d", i, n) }
			f, err := fs.Create(name(0), vfs.WriteCategoryUnspecified)
			for n := 0; n < 1000 && err == nil; n++ {
				err = errors.Join(f.Sync(), f.Close())
				if err == nil {
					err = fs.Link(name(n), name(n)+"-link")
				}
				if err == nil {
					f, err = fs.ReuseForWrite(name(n), name(n+1), vfs.WriteCategoryUnspecified)
				}
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	reuses.Wait()
	close(over)
	clones.Wait()
}
