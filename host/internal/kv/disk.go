package kv

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// DefaultMinFreeBytes is how much of the disk is left to the store's own housekeeping.
const DefaultMinFreeBytes = 64 << 20

// room refuses a write for which the disk has no space left. Pebble cannot go on after a failed write of its log or its
// manifest (it ends the process, see quiet.Fatalf), so none may get that far: a reserve stays free, from which flushes,
// compactions and the writes that make room are fed. Asking costs about a microsecond.
func (s *Store) room(b *Batch) error {
	if s.minFree == 0 || b.Empty() {
		return nil
	}
	need := s.minFree
	if b.reclaims {
		need /= 4
	}
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil {
		return nil // a file system that cannot tell is not full
	}
	s.space(usage)
	if need += 2 * uint64(b.Size()); usage.AvailBytes < need {
		return fmt.Errorf("%w: %s has %d bytes free, a write needs %d", ErrFull, s.dir, usage.AvailBytes, need)
	}
	return nil
}

// roomToOpen refuses to open a store on a disk so full that what its log has cannot be written out as tables: Pebble would try
// that again and again, and not return before there is room.
func roomToOpen(fs vfs.FS, dir string, opts Options) error {
	usage, err := fs.GetDiskUsage(dir)
	if err != nil || opts.ReadOnly {
		return nil // a file system that cannot tell is not full
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	need := opts.MinFreeBytes / 16
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		// One that cannot be looked at is for Pebble to complain of.
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err == nil {
			need += uint64(info.Size())
		}
	}
	// Logs that are only kept to be used again count as well, so there is a limit to what is asked for.
	if need = min(need, opts.MinFreeBytes/2); usage.AvailBytes < need {
		return fmt.Errorf("%w: %s has %d bytes free, opening it takes %d; make room and start again", ErrFull, dir, usage.AvailBytes, need)
	}
	return nil
}

// Reclaims marks a batch that frees space, such as the removal of a whole database: it may use the reserve that other
// writes have to leave.
func (b *Batch) Reclaims() { b.reclaims = true }

// giveBack begins to flush if the disk is full: tables are let go of, and logs, only once it is in a table itself that their
// content was removed. Pebble flushes in goroutines of its own, which Close waits for. What fails here is for the next write to say.
func (s *Store) giveBack() {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil || usage.AvailBytes >= 2*s.minFree {
		return
	}
	_ = s.guarded(func() error {
		_, err := s.db.AsyncFlush()
		return err
	})
}

// SetFree makes the disk small: from now on n bytes can be written to it, after which writes fail. Removing files gives
// nothing back; SetFree does.
func (m *MemFS) SetFree(n uint64) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.free, m.disk.limited = n, true
}

// OnWrite has f called after each write and sync of a file, by whoever wrote. It may take a CrashClone: the disk as it is when power
// fails there. It is set while nobody writes; nil ends it.
func (m *MemFS) OnWrite(f func()) { m.disk.wrote = f }

// disk is the space on a MemFS.
type disk struct {
	// mu guards the fields below it.
	mu      sync.Mutex
	free    uint64
	limited bool

	// wrote is told of every write and sync, in tests that lose power there. It is set while nobody writes.
	wrote func()

	// cloning is held by CrashClone, and shared by what vfs.MemFS cannot be cloned during: it takes one lock twice there, or two
	// in another order, and both sides would wait for each other for ever.
	cloning sync.RWMutex
}

func (d *disk) tell() {
	if d.wrote != nil {
		d.wrote()
	}
}

func (d *disk) take(n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.limited {
		return nil
	}
	if uint64(n) > d.free {
		return &os.PathError{Op: "write", Path: "mem", Err: syscall.ENOSPC}
	}
	d.free -= uint64(n)
	return nil
}

// diskFS is a MemFS whose files take space of a disk.
type diskFS struct {
	*vfs.MemFS
	disk *disk
}

func (f diskFS) file(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return diskFile{file, f.disk}, nil
}

// Create implements vfs.FS.
func (f diskFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file(f.MemFS.Create(name, category))
}

// OpenReadWrite implements vfs.FS.
func (f diskFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file(f.MemFS.OpenReadWrite(name, category, opts...))
}

// ReuseForWrite implements vfs.FS.
func (f diskFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.disk.cloning.RLock()
	defer f.disk.cloning.RUnlock()
	return f.file(f.MemFS.ReuseForWrite(oldname, newname, category))
}

// Link implements vfs.FS.
func (f diskFS) Link(oldname, newname string) error {
	f.disk.cloning.RLock()
	defer f.disk.cloning.RUnlock()
	return f.MemFS.Link(oldname, newname)
}

// GetDiskUsage implements vfs.FS.
func (f diskFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if !f.disk.limited {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return vfs.DiskUsage{AvailBytes: f.disk.free, TotalBytes: f.disk.free}, nil
}

type diskFile struct {
	vfs.File
	disk *disk
}

func (f diskFile) Write(p []byte) (int, error) {
	if err := f.disk.take(len(p)); err != nil {
		return 0, err
	}
	defer f.disk.tell()
	return f.File.Write(p)
}

func (f diskFile) Sync() error {
	defer f.disk.tell()
	return f.File.Sync()
}

func (f diskFile) SyncData() error {
	defer f.disk.tell()
	return f.File.SyncData()
}

func (f diskFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.take(len(p)); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Damage changes the last byte of a file, as a bad disk would.
func (m *MemFS) Damage(name string) error {
	f, err := m.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, info.Size()-1); err == nil {
			last[0] ^= 1
			_, err = f.WriteAt(last, info.Size()-1)
		}
	}
	return errors.Join(err, f.Close())
}

func mapWriteError(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// Move gives a directory another name, as on a machine where it is mounted elsewhere.
func (m *MemFS) Move(from, to string) error {
	if err := m.fs.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return m.fs.Rename(from, to)
}
