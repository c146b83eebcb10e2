package kv

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A store that cannot be opened, or has tables that cannot be read, is not mended in place. What can be read of its tables and
// logs is merged by the sequence numbers of the writes, as Pebble would do, and written into a new store. So any file may be
// missing, and whatever happens on the way the damaged store is what it was.

// Salvaged says what a salvage brought.
type Salvaged struct {
	// Keys that the new store has.
	Keys int
	// Blind: it could not be told which tables the store had, so that what is missing is not known, and things that had been
	// removed may be back.
	Blind bool
}

// LossesIn reads all files of a store that nobody has open, in whatever state it is: visit is called with each key that can be
// read, in order, and report with what cannot.
func LossesIn(ctx context.Context, dir string, opts Options, visit func(key, value []byte), report func(Loss)) (Salvaged, error) {
	w, err := openWreck(ctx, dir, opts, report)
	if err != nil {
		return Salvaged{}, err
	}
	s := Salvaged{Blind: w.tables == nil}
	err = w.merge(func(e write) error {
		s.Keys++
		visit(e.key, e.value)
		return ctx.Err()
	})
	return s, errors.Join(err, w.close())
}

// Where a salvage puts the new store until it is complete, and until the damaged one is out of the way.
const (
	salvaging  = ".salvaging"
	salvagedTo = ".salvaged"
)

// Salvage puts into the place of a store that nobody has open a new one, with what can be read of it; what cannot be read is
// reported. Before it takes its place, mend may change the new store. The damaged one is moved to aside, which must not exist.
// Until then it stays as it is, and if power fails meanwhile, Salvage can be called again, or Open finishes it.
func Salvage(ctx context.Context, dir, aside string, opts Options, report func(Loss), mend func(*Store) error) (s Salvaged, err error) {
	w, err := openWreck(ctx, dir, opts, report)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	half, whole := dir+salvaging, dir+salvagedTo
	if s, err = w.rebuild(ctx, half, opts); err != nil {
		return s, fmt.Errorf("write what can be read into %s: %w", half, err)
	}
	store, err := Open(half, opts)
	if err != nil {
		return s, err
	}
	if err := errors.Join(mend(store), store.Close()); err != nil {
		return s, err
	}
	if err := errors.Join(w.fs.RemoveAll(whole), w.fs.Rename(half, whole), syncDir(w.fs, w.fs.PathDir(dir))); err != nil {
		return s, err
	}
	if err := errors.Join(makeDir(w.fs, w.fs.PathDir(aside)), w.fs.Rename(dir, aside)); err != nil {
		return s, err
	}
	return s, errors.Join(finishSalvage(w.fs, dir), syncDir(w.fs, w.fs.PathDir(aside)))
}

// finishSalvage puts a store that was salvaged into its place when that is empty.
func finishSalvage(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); !errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if _, err := fs.Stat(dir + salvagedTo); err != nil {
		return nil
	}
	return errors.Join(fs.Rename(dir+salvagedTo, dir), syncDir(fs, fs.PathDir(dir)))
}

// rebuild writes a new store.
func (w *wreck) rebuild(ctx context.Context, into string, opts Options) (s Salvaged, err error) {
	s.Blind = w.tables == nil
	if err := errors.Join(w.fs.RemoveAll(into), makeDir(w.fs, into)); err != nil {
		return s, mapWriteError(err)
	}
	opts = opts.withDefaults()
	po := opts.pebble()
	po.DisableWAL = true // it is begun anew if it is cut short
	db, err := openPebble(into, po)
	if err != nil {
		return s, mapWriteError(err)
	}
	out := salvager{ctx: ctx, db: db, fs: w.fs, dir: into, b: db.NewBatch(), minFree: opts.MinFreeBytes, told: w.saved}
	err = w.merge(out.add)
	if err == nil {
		err = out.end(cmp.Or(w.format, strconv.Itoa(opts.version)))
	}
	s.Keys = out.keys
	return s, mapWriteError(errors.Join(err, out.b.Close(), db.Close()))
}

// salvager writes the new store.
type salvager struct {
	ctx     context.Context
	db      *pebble.DB
	fs      vfs.FS
	dir     string
	minFree uint64
	b       *pebble.Batch
	keys    int
	// told is told of keys that are saved.
	told func(keys int)
	// format: the version of the format is among the keys.
	format bool
}

// salvageBatch bounds the memory that a batch takes.
const salvageBatch = 4 << 20

func (s *salvager) add(e write) error {
	if bytes.Equal(e.key, markKey) {
		return nil // the new store has marks of its own
	}
	s.keys++
	s.format = s.format || bytes.Equal(e.key, formatKey)
	if err := s.b.Set(e.key, e.value, nil); err != nil || s.b.Len() < salvageBatch {
		return err
	}
	return s.write()
}

func (s *salvager) write() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if usage, err := s.fs.GetDiskUsage(s.dir); err == nil && usage.AvailBytes < s.minFree {
		return fmt.Errorf("%w: what is saved takes about as much room as the store, and %d bytes are left", ErrFull, usage.AvailBytes)
	}
	err := s.db.Apply(s.b, pebble.NoSync)
	if err = errors.Join(err, s.b.Close()); err != nil {
		return err
	}
	s.b = s.db.NewBatch()
	s.told(s.keys)
	return nil
}

// end makes the store durable; format is its version where that was lost.
func (s *salvager) end(format string) error {
	if !s.format {
		if err := s.b.Set(formatKey, []byte(format), nil); err != nil {
			return err
		}
	}
	if err := s.write(); err != nil {
		return err
	}
	return s.db.Flush()
}
