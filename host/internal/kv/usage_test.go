package kv

import (
	"fmt"
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
