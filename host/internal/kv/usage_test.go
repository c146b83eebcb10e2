package kv

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Asking for sizes goes on beside flushes and compactions, which keep sums of their own; the race detector watches.
func TestDiskBytesBesideCompactions(t *testing.T) {
	t.Parallel()
	s, err := Open("store", Options{FS: NewMemFS(), MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.DiskBytes([]byte{0}, []byte{0xff}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	value := make([]byte, 512)
	for i := range 4000 {
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "a/%05d", i*7919%4000), value)
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	asking.Wait()

	of := func(lo, hi string) uint64 {
		t.Helper()
		bytes, err := s.DiskBytes([]byte(lo), []byte(hi))
		if err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	whole, half := of("a", "b"), of("a", "a/02000")
	if whole == 0 || half == 0 || half >= whole {
		t.Errorf("half of the keys take %d bytes, all of them %d", half, whole)
	}
	if none := of("c", "d"); none != 0 {
		t.Errorf("keys that are not there take %d bytes", none)
	}
}

// What is told of the tables is what lies in the directory: nothing while all is in the log, and then each file with its size.
func TestUsageIsWhatLiesThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(dir, Options{MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Usage(); got != (Usage{}) {
		t.Errorf("a new store takes %+v", got)
	}
	random, value := rand.NewChaCha8([32]byte{}), make([]byte, 10_000)
	for i := range 400 {
		_, _ = random.Read(value) // never fails
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "k%05d", i*7919%400), value)
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first opening writes out what is in the log
		if s, err = Open(dir, Options{ReadOnly: true}); err != nil {
			t.Fatal(err)
		}
		got := s.Usage()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var want Usage
		names, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			want.Files++
			want.Bytes += uint64(info.Size())
		}
		if got != want || want.Files < 2 {
			t.Errorf("%+v is told, %+v lies there, in two files at least", got, want)
		}
		if s, err = Open(dir, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
