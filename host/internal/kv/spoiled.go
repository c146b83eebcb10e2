package kv

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// spoiled are the blocks of tables that were found damaged when a table was last read from end to end. Whoever reads one is told so at
// once. Pebble would look, at each read, for the one bit that could be wrong, which takes it a quarter of a second. Safe for concurrent
// use.
type spoiled struct {
	// mu is held to change files, whose content never changes.
	mu    sync.Mutex
	files atomic.Pointer[map[string][]block.Handle]
}

// add notes a block, forget that a table is read anew.
func (s *spoiled) add(name string, h block.Handle) {
	s.change(func(files map[string][]block.Handle) {
		files[name] = append(files[name][:len(files[name]):len(files[name])], h)
	})
}

func (s *spoiled) forget(name string) {
	if known := s.files.Load(); known != nil && len((*known)[name]) > 0 {
		s.change(func(files map[string][]block.Handle) { delete(files, name) })
	}
}

func (s *spoiled) change(change func(files map[string][]block.Handle)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := map[string][]block.Handle{}
	if known := s.files.Load(); known != nil {
		files = maps.Clone(*known)
	}
	change(files)
	s.files.Store(&files)
}

// check refuses to read n bytes of a table from off on, if some of them are of a damaged block.
func (s *spoiled) check(name string, off int64, n int) error {
	known := s.files.Load()
	if known == nil {
		return nil
	}
	for _, h := range (*known)[name] {
		if off < int64(h.Offset+h.Length+block.TrailerLen) && off+int64(n) > int64(h.Offset) {
			return mismatch(h)
		}
	}
	return nil
}

// mismatch says that a block is not what was written.
func mismatch(h block.Handle) error {
	return fmt.Errorf("block %d/%d: checksum mismatch (%w)", h.Offset, h.Length, pebble.ErrCorruption)
}

// knowingFS is a file system with what is known to be spoiled on it.
type knowingFS struct {
	vfs.FS
	spoiled *spoiled
}

// Open implements vfs.FS.
func (k knowingFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := k.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return knownFile{f, k.PathBase(name), k.spoiled}, nil
}

// Unwrap implements vfs.FS.
func (k knowingFS) Unwrap() vfs.FS { return k.FS }

type knownFile struct {
	vfs.File
	name    string
	spoiled *spoiled
}

// ReadAt implements io.ReaderAt.
func (f knownFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.spoiled.check(f.name, off, len(p)); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// whole reports whether the checksum behind a block, with which Pebble writes tables unless told otherwise, is that of the block.
func whole(f vfs.File, h block.Handle) (bool, error) {
	data := make([]byte, h.Length+block.TrailerLen)
	if _, err := f.ReadAt(data, int64(h.Offset)); err != nil {
		return false, err
	}
	sum := crc32.Checksum(data[:h.Length+1], castagnoli)
	return (sum>>15|sum<<17)+0xa282ead8 == binary.LittleEndian.Uint32(data[h.Length+1:]), nil
}

// sums reports whether the blocks of a table end with the checksums that whole knows.
func sums(f vfs.File, layout *sstable.Layout) bool {
	ok, err := whole(f, layout.MetaIndex)
	return ok && err == nil
}
