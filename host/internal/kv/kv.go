// Package kv is the ordered key-value store under everything that lasts, and the only room that knows Pebble.
//
// It guarantees: a batch is applied whole or not at all; what was synced survives power loss; readers see snapshots; one
// process at a time holds a directory; a directory of a newer format is refused untouched. It knows nothing of what the
// keys mean: each room above owns a range of first bytes (see docs/format.md). Read Store, Batch and Iter.
package kv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sentinels that callers branch on.
var (
	ErrNotFound = errors.New("key not found")
	// ErrLocked means that another process holds the directory.
	ErrLocked = errors.New("data directory is in use by another process")
	// ErrNewerFormat means that a later version of the software wrote the directory.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrFull means that the disk is full.
	ErrFull = errors.New("disk is full")
	// ErrFailed means that a write of the log failed on the disk. The store takes no more writes until it has been opened
	// anew: nobody can tell what of the failed write is there.
	ErrFailed = errors.New("store has failed and must be opened anew")
)

// Durability says when a commit returns.
type Durability bool

const (
	// Sync returns when the batch survives power loss.
	Sync Durability = true
	// NoSync returns when the batch is visible; a later Sync makes it durable too.
	NoSync Durability = false
)

// Options of a store. The zero value is ready for use.
type Options struct {
	// CacheBytes bounds the block cache. Default 64 MiB.
	CacheBytes int64
	// MemTableBytes bounds one memory table; two may exist at a time. Files of Pebble's log are as large, and up to
	// four are kept to be used again. Default 8 MiB.
	MemTableBytes uint64
	// IngestBytes is from which size on Batch.Ingest writes tables. Default 1 MiB; in a MemFS 4 KiB, so that tests with little
	// data go that way, too.
	IngestBytes int
	// MinFreeBytes of the disk are left free: a write that would need them fails with ErrFull. Default
	// DefaultMinFreeBytes.
	MinFreeBytes uint64
	// ReadOnly opens an existing directory without changing anything in it. Batches fail.
	ReadOnly bool
	// Steps bring directories of older versions forward: see Step.
	Steps []Step
	// Damaged is told of a file in which something else was found than was written. What needs it fails with ErrDamaged; the
	// rest goes on.
	Damaged func(path string)
	// Upgrading is told before a step begins, or goes on after it was cut short.
	Upgrading func(from, to int, what string)
	// Shortage is told when the disk comes to have little space left, and when it has enough again, as seen at a write or by Store.Space.
	// It is called in the middle of writes, by several at once, and must be quick.
	Shortage func(Space)
	// Salvaging is told how far Salvage and LossesIn are: how many of the tables have been read, and how many keys been saved.
	Salvaging func(tables, of, keys int)
	// FS replaces the file system, for tests: see NewMemFS.
	FS *MemFS

	// version is FormatVersion, but in tests of steps.
	version int
	// changed is told, in tests, that there are other tables than before.
	changed func()
	// beneath replaces, in tests, the file system of the machine.
	beneath vfs.FS
}

func (o Options) withDefaults() Options {
	if o.version == 0 {
		o.version = FormatVersion
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 8 << 20
	}
	if o.IngestBytes == 0 && o.FS != nil {
		o.IngestBytes = 4 << 10
	}
	if o.IngestBytes == 0 {
		o.IngestBytes = 1 << 20
	}
	if o.MinFreeBytes == 0 {
		o.MinFreeBytes = DefaultMinFreeBytes
	}
	return o
}

// Store is an open directory. Safe for concurrent use.
type Store struct {
	db      *pebble.DB
	fs      knowingFS
	dir     string
	minFree uint64
	// readOnly: nothing is ever written.
	readOnly bool
	marks    marks
	// ingestFrom is Options.IngestBytes. tables counts those that were ever written for Ingest, and tableOptions are how.
	ingestFrom int
	// applyBelow is how large a batch is at the most that goes through the log.
	applyBelow   int
	tables       atomic.Uint64
	tableOptions sstable.WriterOptions
	// shortage is Options.Shortage, and short what it was last told.
	shortage func(Space)
	short    atomic.Bool
	// backingUp is held while a backup is written.
	backingUp sync.Mutex
	// failed is the first failure of the log, after which nothing is written.
	failed atomic.Pointer[error]
}

// Reader is a store or a snapshot of one.
type Reader interface {
	// Get returns a copy of the value, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Iter iterates over lo <= key < hi; nil means no bound.
	Iter(lo, hi []byte) (*Iter, error)
}

// Open opens the directory, which is created when absent. Errors: ErrLocked, ErrNewerFormat, ErrDamaged, ErrRestoring,
// ErrFull.
func Open(dir string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	cache := pebble.NewCache(opts.CacheBytes)
	defer cache.Unref()
	po, knowing := opts.pebble(), opts.fileSystem()
	po.Cache, po.FS = cache, knowing
	po.ReadOnly = opts.ReadOnly
	if !opts.ReadOnly {
		if err := finishSalvage(po.FS, dir); err != nil {
			return nil, fmt.Errorf("finish a repair that was cut short: %w", err)
		}
	}
	switch there := hasStore(po.FS, dir); {
	case there:
		// Where files are left, a store that seems not to exist has lost some, and must not be begun anew.
		po.ErrorIfNotExists = true
	case opts.ReadOnly:
		return nil, fmt.Errorf("there is no store in %s", dir)
	default:
		if err := notHalfRestored(po.FS, dir); err != nil {
			return nil, err
		}
	}
	if opts.ReadOnly {
		po.ErrorIfNotExists = true
	} else if err := makeDir(po.FS, dir); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	if err := checkFormatFile(po.FS, dir, opts.version); err != nil {
		return nil, err
	}
	if err := roomToOpen(knowing, dir, opts); err != nil {
		return nil, err
	}
	po.EventListener = damageOnly(opts)
	if err := checkMark(dir, *po); err != nil {
		return nil, err
	}
	s := &Store{fs: knowing, dir: dir, minFree: opts.MinFreeBytes, readOnly: opts.ReadOnly, ingestFrom: opts.IngestBytes, applyBelow: int(opts.MemTableBytes / 2)}
	s.marks.wrote, s.shortage = make(chan struct{}, 1), opts.Shortage
	po.EventListener = s.events(opts)
	db, err := openPebble(dir, po)
	if err != nil {
		return nil, openError(dir, err)
	}
	s.db = db
	po.EnsureDefaults()
	// As for the first level: in tables for the last one a delete counts for nothing.
	s.tableOptions = po.MakeWriterOptions(0, db.TableFormat())
	if !opts.ReadOnly {
		if err := openIncoming(s.fs, dir); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if s.marks.last.number, err = loadMark(db); err != nil {
		return nil, errors.Join(openError(dir, err), db.Close())
	}
	if err := s.bringForward(opts); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pebble returns the options of Pebble that have to do with what lies on the disk.
func (o Options) pebble() *pebble.Options {
	po := &pebble.Options{
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		MaxOpenFiles:                maxOpenFiles(),
		LBaseMaxBytes:               64 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      quiet{},
		FS:                          o.fileSystem(),
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
		po.Levels[i].BlockSize = 16 << 10
	}
	po.Experimental.SpanPolicyFunc = tableEnd
	return po
}

// tableEnd ends every table of the store where a space of keys ends, at the latest. Spaces grow at one end each, most of
// them, so tables that keep within one follow each other and are never merged, while one with the end of a space and the
// beginning of the next overlaps all that will be written in between, and is rewritten with it again and again.
func tableEnd(start []byte) (pebble.SpanPolicy, []byte, error) {
	if len(start) == 0 {
		return pebble.SpanPolicy{}, []byte{0}, nil
	}
	return pebble.SpanPolicy{}, PrefixEnd(start[:1]), nil
}

// makeDir makes the directory and what lies above it, and makes that survive power loss: Pebble would do so too, but not
// for directories that are there when it opens, and not with this mode.
func makeDir(fs vfs.FS, dir string) error {
	var missing []string
	for p := dir; ; p = fs.PathDir(p) {
		if _, err := fs.Stat(p); err == nil || p == fs.PathDir(p) {
			break
		}
		missing = append(missing, p)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, p := range missing {
		parent, err := fs.OpenDir(fs.PathDir(p))
		if err != nil {
			return err
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return err
		}
	}
	return nil
}

// OpenMem opens a store that lives in memory, for tests.
func OpenMem() (*Store, error) { return Open("mem", Options{FS: NewMemFS()}) }

func openError(dir string, err error) error {
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) && !deniedFile(err) || strings.Contains(err.Error(), "lock held") {
		return fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if strings.Contains(err.Error(), "format major version") {
		return fmt.Errorf("%w: %s: %v", ErrNewerFormat, dir, err)
	}
	if damaged(err) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, pebble.ErrDBDoesNotExist) ||
		strings.Contains(err.Error(), "already exists and is") {
		return fmt.Errorf("%w: open %s: %v; %s", ErrDamaged, filepath.Clean(dir), err, WhatNow)
	}
	return fmt.Errorf("open %s: %w", filepath.Clean(dir), err)
}

// Close marks what was written and releases the directory. Readers and iterators must be closed before.
func (s *Store) Close() error {
	// That there is no mark of the last writes is no failure of them.
	_ = s.Mark()
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	var err error
	if s.marks.file != nil {
		err = s.marks.file.Close()
	}
	return errors.Join(err, s.db.Close())
}

// Get implements Reader.
func (s *Store) Get(key []byte) ([]byte, error) { return get(s.db, key) }

// Iter implements Reader.
func (s *Store) Iter(lo, hi []byte) (*Iter, error) { return newIter(s.db, lo, hi) }

// Snapshot returns an unchanging view. It holds back space until it is closed.
func (s *Store) Snapshot() *Snapshot { return &Snapshot{s: s.db.NewSnapshot()} }

// Checkpoint writes a consistent copy of the store into dir, which must not exist, sharing files by hard link where
// possible.
func (s *Store) Checkpoint(dir string) error {
	return s.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// Snapshot is an unchanging view of a store.
type Snapshot struct {
	s *pebble.Snapshot
}

// Get implements Reader.
func (s *Snapshot) Get(key []byte) ([]byte, error) { return get(s.s, key) }

// Iter implements Reader.
func (s *Snapshot) Iter(lo, hi []byte) (*Iter, error) { return newIter(s.s, lo, hi) }

// Close releases the snapshot.
func (s *Snapshot) Close() error { return s.s.Close() }

func get(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, readError(err)
	}
	return bytes.Clone(value), closer.Close()
}

// quiet drops Pebble's chatter; errors come back from the calls.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf is called by Pebble when it cannot go on without risking the data. Where a caller of this package waits, the
// panic becomes an error (see guarded); in Pebble's own goroutines, as after a failed write of its manifest, it ends the
// process, whose next start finds everything that was acknowledged.
func (quiet) Fatalf(format string, args ...any) {
	panic(fatal("kv: " + fmt.Sprintf(format, args...)))
}

// fatal is what Fatalf panics with.
type fatal string

var _ io.Closer = (*Store)(nil)

// MemFS is a file system in memory that can lose what was not synced.
type MemFS struct {
	fs   *vfs.MemFS
	disk *disk
}

func (m *MemFS) diskFS() vfs.FS { return diskFS{m.fs, m.disk} }

// fileSystem is where the store lies.
func (o Options) fileSystem() knowingFS {
	var files vfs.FS = vfs.Default
	switch {
	case o.beneath != nil:
		files = o.beneath
	case o.FS != nil:
		files = o.FS.diskFS()
	}
	if o.ReadOnly {
		files = readersFS{files}
	}
	return knowingFS{files, &spoiled{}}
}

// NewMemFS returns an empty one that remembers what was synced.
func NewMemFS() *MemFS { return &MemFS{fs: vfs.NewCrashableMem(), disk: &disk{}} }

// CrashClone returns the state that a power loss at this moment would leave behind: only what was synced.
func (m *MemFS) CrashClone() *MemFS {
	m.disk.cloning.Lock()
	defer m.disk.cloning.Unlock()
	return &MemFS{fs: m.fs.CrashClone(vfs.CrashCloneCfg{}), disk: &disk{}}
}
