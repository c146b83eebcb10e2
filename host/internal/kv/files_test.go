package kv

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Without a descriptor for its tables nothing of a large batch is taken, wherever that shows, and the store goes on.
func TestNoDescriptorToIngest(t *testing.T) {
	var at, met atomic.Int32
	at.Store(-1)
	lacking := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if int32(op.Kind) != at.Load() || !strings.HasSuffix(op.Path, ".sst") {
			return nil
		}
		met.Add(1)
		return syscall.EMFILE
	})
	s, err := Open(t.TempDir(), Options{beneath: errorfs.Wrap(vfs.Default, lacking), IngestBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(n int) error {
		b := s.NewBatch()
		for i := range 10 {
			b.Set(fmt.Appendf(nil, "k%d", i), bytes.Repeat([]byte{byte(n)}, 100))
		}
		if err := b.Ingest(); err != nil {
			return err
		}
		return b.Wait()
	}
	if err := put(0); err != nil {
		t.Fatal(err)
	}
	for n, kind := range []errorfs.OpKind{errorfs.OpCreate, errorfs.OpOpen} {
		met.Store(0)
		at.Store(int32(kind))
		err := put(n + 1)
		at.Store(-1)
		if !errors.Is(err, syscall.EMFILE) || errors.Is(err, ErrFailed) || met.Load() == 0 {
			t.Errorf("%v: got %v after %d failures, want EMFILE", kind, err, met.Load())
		}
		if value, err := s.Get([]byte("k5")); err != nil || value[0] != byte(n) {
			t.Errorf("%v: %v is there, %v; want the batch before", kind, value[:1], err)
		}
		if err := put(n + 1); err != nil {
			t.Errorf("%v: with descriptors again: %v", kind, err)
		}
	}
}
