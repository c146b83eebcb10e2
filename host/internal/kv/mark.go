package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged means that the directory does not hold what was written to it. It is left as it is.
var ErrDamaged = errors.New("store is damaged")

// Pebble's log cannot tell a write that was cut short by a loss of power, which nobody was promised, from one at its very end
// that was damaged later. So the store leaves marks: a number that is written through the log, and once that is synced to a
// file beside it. A log that holds less than the file says has lost what was acknowledged before the mark.

// The same goes for the manifest, in which Pebble notes which tables there are: the file beside it also has a checksum of the
// manifest as far as it was written and synced when the mark was made.

// markKey holds the latest mark, as u64.
var markKey = []byte("\x00mark")

// markFile says what must be there; see mark. It may be absent, and what cannot be read says nothing.
const markFile = "SYNCED"

// mark is what markFile says: u64 number | u64 number of the manifest | u64 length | u32 CRC-32C of so much of it | u32 CRC-32C of
// all that.
type mark struct {
	number   uint64
	manifest uint64
	length   uint64
	sum      uint32
}

const markLen = 32

func (m mark) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, m.number)
	dst = binary.BigEndian.AppendUint64(dst, m.manifest)
	dst = binary.BigEndian.AppendUint64(dst, m.length)
	dst = binary.BigEndian.AppendUint32(dst, m.sum)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

// decodeMark returns the zero mark for what cannot be read.
func decodeMark(data []byte) mark {
	if len(data) != markLen || crc32.Checksum(data[:markLen-4], castagnoli) != binary.BigEndian.Uint32(data[markLen-4:]) {
		return mark{}
	}
	return mark{
		number:   binary.BigEndian.Uint64(data),
		manifest: binary.BigEndian.Uint64(data[8:]),
		length:   binary.BigEndian.Uint64(data[16:]),
		sum:      binary.BigEndian.Uint32(data[24:]),
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// marks are the marks of a store that is open.
type marks struct {
	// dirty is set by the first write after a mark.
	dirty atomic.Bool
	// wrote has room for one, and is sent when dirty is set.
	wrote chan struct{}

	// manifest is the number of the one that is written to.
	manifest atomic.Uint64

	// mu guards the fields below it, and is held while a mark is made.
	mu   sync.Mutex
	last mark
	file vfs.File
}

// note takes down that there is something to mark.
func (m *marks) note() {
	if m.dirty.Load() || !m.dirty.CompareAndSwap(false, true) {
		return
	}
	select {
	case m.wrote <- struct{}{}:
	default:
	}
}

// Wrote is sent a value when something was written since the last mark.
func (s *Store) Wrote() <-chan struct{} { return s.marks.wrote }

// Mark makes everything durable that was written so far, and has the store notice from now on if that is lost by damage to the
// end of its log or of its manifest. It costs three syncs, and nothing when nothing was written.
func (s *Store) Mark() error {
	m := &s.marks
	if !m.dirty.Swap(false) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := s.NewBatch()
	b.Set(markKey, binary.BigEndian.AppendUint64(nil, m.last.number+1))
	b.Reclaims() // it may be the only write on a disk that is full
	if err := errors.Join(s.broken(), s.room(b)); err != nil {
		b.Discard()
		return err
	}
	if err := s.guarded(func() error { return s.db.Apply(b.b, pebble.Sync) }); err != nil {
		return err
	}
	m.last.number++
	if err := s.sumManifest(); err != nil {
		return err
	}
	return s.writeMark()
}

// sumManifest adds to the checksum what was written to the manifest meanwhile, and makes that durable. It is called with marks.mu
// held.
func (s *Store) sumManifest() error {
	last, now := &s.marks.last, s.marks.manifest.Load()
	if last.manifest != now {
		last.manifest, last.length, last.sum = now, 0, 0
	}
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, manifestFile(now)))
	if errors.Is(err, fs.ErrNotExist) {
		last.manifest = 0 // there is a newer one by now, of which the next mark will tell
		return nil
	}
	if err != nil {
		return err
	}
	n, sum, err := sumFile(f, last.length, 1<<62, last.sum)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	last.length, last.sum = last.length+n, sum
	return nil
}

func manifestFile(number uint64) string { return fmt.Sprintf("MANIFEST-%06d", number) }

// sumFile continues a checksum with at most so many bytes from an offset.
func sumFile(f vfs.File, from, most uint64, sum uint32) (n uint64, _ uint32, err error) {
	buf := make([]byte, 64<<10)
	for n < most && err == nil {
		var got int
		got, err = f.ReadAt(buf[:min(uint64(len(buf)), most-n)], int64(from+n))
		n, sum = n+uint64(got), crc32.Update(sum, castagnoli, buf[:got])
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, sum, err
}

// writeMark is called with marks.mu held.
func (s *Store) writeMark() (err error) {
	m := &s.marks
	if m.file == nil {
		name := s.fs.PathJoin(s.dir, markFile)
		m.file, err = s.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		if errors.Is(err, fs.ErrNotExist) {
			if m.file, err = s.fs.Create(name, vfs.WriteCategoryUnspecified); err == nil {
				err = syncDir(s.fs, s.dir)
			}
		}
		if err != nil {
			return mapWriteError(err)
		}
	}
	_, err = m.file.WriteAt(m.last.append(nil), 0)
	return mapWriteError(errors.Join(err, m.file.Sync()))
}

// readMark reads the file; what says nothing is the zero mark.
func readMark(from vfs.FS, dir string) (mark, error) {
	f, err := from.Open(from.PathJoin(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return mark{}, nil
	}
	if err != nil {
		return mark{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, markLen))
	return decodeMark(data), errors.Join(err, f.Close())
}

// loadMark reads the mark in the store.
func loadMark(r pebble.Reader) (uint64, error) {
	data, err := get(r, markKey)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil || len(data) != 8 {
		return 0, errors.Join(err, fmt.Errorf("mark of %d bytes", len(data)))
	}
	return binary.BigEndian.Uint64(data), nil
}

// checkMark holds the log and the manifest against the last mark before the directory is opened for writing: that would take them
// for complete, and remove what is left of them.
func checkMark(dir string, po pebble.Options) error {
	want, err := readMark(po.FS, dir)
	if err != nil || want.number == 0 {
		return err
	}
	if err := checkManifest(dir, po.FS, want); err != nil {
		return err
	}
	po.ReadOnly, po.ErrorIfNotExists = true, true
	db, err := openPebble(dir, &po)
	if err != nil {
		return openError(dir, err)
	}
	got, err := loadMark(db)
	if err = errors.Join(err, db.Close()); err != nil {
		return openError(dir, err)
	}
	if got < want.number {
		return fmt.Errorf("%w: the log in %s ends at mark %d, and mark %d was made: its end, with writes that were acknowledged, is lost; %s",
			ErrDamaged, dir, got, want.number, WhatNow)
	}
	return nil
}

// checkManifest wants the manifest to begin with what it held when the mark was made, if it is still the same one.
func checkManifest(dir string, from vfs.FS, want mark) error {
	names, err := from.List(dir)
	if err != nil {
		return err
	}
	name, current := manifestFile(want.manifest), false
	for _, n := range names {
		current = current || strings.HasPrefix(n, "marker.manifest.") && strings.HasSuffix(n, "."+name)
	}
	if want.manifest == 0 || !current {
		return nil
	}
	f, err := from.Open(from.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is gone; %s", ErrDamaged, from.PathJoin(dir, name), WhatNow)
	}
	if err != nil {
		return openError(dir, err)
	}
	n, sum, err := sumFile(f, 0, want.length, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return openError(dir, err)
	}
	if n != want.length || sum != want.sum {
		return fmt.Errorf("%w: %s is not what was written to it; %s", ErrDamaged, from.PathJoin(dir, name), WhatNow)
	}
	return nil
}

// What whoever finds a damaged store is told to do, in this order.
const (
	WhatNow   = "'syncbase doctor --repair', while no daemon runs, repairs what it can; otherwise " + Otherwise
	Otherwise = "restore a backup, or sync anew from a peer into an empty data directory with the old identity"
)
