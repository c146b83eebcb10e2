package kv

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

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

// wreck is the store that is read.
type wreck struct {
	fs     knowingFS
	dir    string
	lock   *pebble.Lock
	report func(Loss)
	// told is Options.Salvaging.
	told func(tables, of, keys int)
	// tables are those that the store had; nil where that cannot be told.
	tables map[string]*listed
	// firstLog is the first log of which not everything lies in tables, 0 where that cannot be told.
	firstLog uint64
	want     mark
	// entered are tables that a log of which not everything lies in tables has brought in.
	entered map[string]pebble.SeqNum
	// format is what the file of that name says, empty if it is gone.
	format string

	sources  sources
	iters    []*tableIter
	removals []removal
	// spareRemovals are those of spare logs.
	spareRemovals []removal
	// lost are the keys that tables cannot tell of.
	lost []Loss
}

func openWreck(ctx context.Context, dir string, opts Options, report func(Loss)) (_ *wreck, err error) {
	opts = opts.withDefaults()
	w := &wreck{fs: opts.fileSystem(), dir: dir, report: report, told: opts.Salvaging, entered: map[string]pebble.SeqNum{}}
	if err := checkFormatFile(w.fs, dir, opts.version); errors.Is(err, ErrDamaged) {
		report(Loss{File: formatFile, Cause: plain(err)})
	} else if err != nil {
		return nil, err
	} else if w.format, err = readSmall(w.fs, w.fs.PathJoin(dir, formatFile)); err != nil {
		return nil, err
	}
	if w.lock, err = pebble.LockDirectory(dir, w.fs); err != nil {
		return nil, openError(dir, err)
	}
	for _, step := range []func() error{
		func() error { return w.readManifest(opts) },
		func() error { return w.readLogs(ctx) },
		func() error { return w.openTables(ctx) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	return w, nil
}

// saved tells how many keys are saved.
func (w *wreck) saved(keys int) {
	if w.told != nil {
		w.told(len(w.iters), len(w.iters), keys)
	}
}

func (w *wreck) close() error {
	var errs []error
	for _, it := range w.iters {
		it.close()
		errs = append(errs, it.t.close())
	}
	return errors.Join(append(errs, w.lock.Close())...)
}

// readManifest asks the manifest which tables there are, unless it is not what was written.
func (w *wreck) readManifest(opts Options) (err error) {
	if w.want, err = readMark(w.fs, w.dir); err != nil {
		return err
	}
	cause := checkManifest(w.dir, w.fs, w.want)
	if cause == nil {
		cause = w.listTables(opts)
	}
	if cause == nil {
		cause = w.contradicted()
	}
	if cause != nil {
		w.tables, w.firstLog = nil, 0
		w.report(Loss{File: "MANIFEST", Cause: "which tables there were cannot be told: " + plain(cause)})
	}
	return nil
}

// plain is what is the matter, without what to do about it.
func plain(err error) string {
	return strings.TrimSuffix(strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": "), "; "+WhatNow)
}

// listTables asks Pebble, to whom logs that are damaged are hidden, and to whom tables that are gone seem to be there.
func (w *wreck) listTables(opts Options) error {
	as := disguised{FS: w.fs, dir: w.dir}
	db, err := w.openManifest(opts, as, false)
	if err != nil {
		for _, found := range missingTable.FindAllStringSubmatch(err.Error(), -1) {
			as.more = append(as.more, found[1]+".sst")
		}
		if db, err = w.openManifest(opts, as, true); err != nil {
			return err
		}
	}
	w.tables, err = tablesOf(db)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	// Where it begins to read logs is what is wanted, not whether it comes to an end.
	as.logs, as.first = true, func(n uint64) {
		if w.firstLog == 0 || n < w.firstLog {
			w.firstLog = n
		}
	}
	if db, err = w.openManifest(opts, as, true); err == nil {
		err = db.Close()
	}
	if w.firstLog == 0 && err == nil {
		w.firstLog = math.MaxUint64
	}
	return nil
}

// missingTable finds in Pebble's words which tables are gone.
var missingTable = regexp.MustCompile(`file (\d+) \(type sstable\) unknown`)

func (w *wreck) openManifest(opts Options, as disguised, unchecked bool) (*pebble.DB, error) {
	po := opts.pebble()
	po.FS, po.Lock = as, w.lock
	po.ReadOnly, po.ErrorIfNotExists, po.DisableConsistencyCheck = true, true, unchecked
	po.EventListener = damageOnly(opts)
	return openPebble(w.dir, po)
}

// contradicted tells a manifest that has lost its end from one whose tables were lost: there are tables that it does not know
// while others are missing.
func (w *wreck) contradicted() error {
	there, err := w.filesLike(".sst")
	if err != nil {
		return err
	}
	missing := slices.ContainsFunc(sortedNames(w.tables), func(name string) bool { return !slices.Contains(there, name) })
	unknown := slices.IndexFunc(there, func(name string) bool { return w.tables[name] == nil })
	if missing && unknown >= 0 {
		return fmt.Errorf("it does not know of %s, and names tables that are gone", there[unknown])
	}
	return nil
}

func (w *wreck) filesLike(suffix string) ([]string, error) {
	names, err := w.fs.List(w.dir)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, suffix) })
	slices.Sort(names)
	return names, err
}

func (w *wreck) openTables(ctx context.Context) error {
	for name, seq := range w.entered {
		if w.tables != nil && w.tables[name] == nil {
			w.tables[name] = &listed{seq: seq}
		}
	}
	names := sortedNames(w.tables)
	if w.tables == nil {
		var err error
		if names, err = w.filesLike(".sst"); err != nil {
			return err
		}
	}
	for i, name := range names {
		if w.told != nil {
			w.told(i, len(names), 0)
		}
		t, err := openTable(ctx, w.fs, w.dir, name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			l := wholeTable(name, w.tables[name], err)
			w.report(l)
			w.lost = append(w.lost, l)
			continue
		}
		w.lost = append(w.lost, t.lossesAfter(0, w.tables[name])...)
		it, err := t.iter()
		if err != nil {
			return errors.Join(err, t.close())
		}
		w.iters = append(w.iters, it)
		src := &tableSource{it: it, number: numberOf(name)}
		if as := w.tables[name]; as != nil {
			src.parts, src.seq = as.parts, as.seq
		} else {
			src.seq = w.entered[name]
		}
		w.removals = append(w.removals, clip(t.removed(ctx), src.parts)...)
		if err := w.start(src); err != nil {
			return err
		}
	}
	return nil
}

func numberOf(name string) (n uint64) {
	_, _ = fmt.Sscanf(name, "%d", &n)
	return n
}

// clip cuts removals to the parts of their table that belong to the store.
func clip(list []removal, parts []bound) (cut []removal) {
	for _, r := range list {
		if parts == nil {
			cut = append(cut, r)
		}
		for _, p := range parts {
			c := removal{lo: most(r.lo, p.lo), hi: r.hi, seq: r.seq}
			if p.hi != nil {
				c.hi = least(r.hi, p.hi)
			}
			if bytes.Compare(c.lo, c.hi) < 0 {
				cut = append(cut, c)
			}
		}
	}
	return cut
}

// readLogs adds the logs. Those whose content is in tables already are spare: one of these may be lost.
func (w *wreck) readLogs(ctx context.Context) error {
	names, err := w.filesLike(".log")
	last := pebble.SeqNum(0) // where the log before ended
	for _, name := range names {
		number, is := logNumber(name)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !is {
			continue
		}
		c, err := readLogFile(w.fs, w.fs.PathJoin(w.dir, name), number)
		if err != nil {
			w.report(Loss{File: name, Cause: err.Error(), Writes: -1})
			continue
		}
		if c.to == 0 {
			continue
		}
		if number >= w.firstLog {
			maps.Copy(w.entered, c.tables)
			if last > 0 && c.from > last {
				c.holes = append(c.holes, hole{last, c.from})
			}
			if n := w.missing(c.holes); n > 0 {
				w.report(Loss{File: name, Cause: "writes in the log, or between it and the one before, cannot be read", Writes: n})
			}
			last = c.to
		}
		spare := number < w.firstLog
		if spare {
			w.spareRemovals = append(w.spareRemovals, c.removals...)
		} else {
			w.removals = append(w.removals, c.removals...)
		}
		slices.SortStableFunc(c.entries, func(a, b write) int { return cmp.Or(bytes.Compare(a.key, b.key), cmp.Compare(b.seq, a.seq)) })
		if err := w.start(&logSource{entries: c.entries, number: number, isSpare: spare}); err != nil {
			return err
		}
	}
	return err
}

// missing counts the writes in holes; tables that entered the store took numbers, too.
func (w *wreck) missing(holes []hole) (n int) {
	for _, h := range holes {
		n += int(h.to - h.from)
		for _, t := range w.tables {
			if t.seq >= h.from && t.seq < h.to {
				n--
			}
		}
	}
	return n
}

func (w *wreck) start(src source) error {
	ok, err := src.next()
	if ok {
		w.sources = append(w.sources, src)
	}
	return err
}

// merge visits the newest write of each key, in order, unless that removed it. Then it reports what was missing.
func (w *wreck) merge(visit func(write) error) error {
	heap.Init(&w.sources)
	removed, spare := newRanges(w.removals), newRanges(w.spareRemovals)
	marked := uint64(0)
	for len(w.sources) > 0 {
		key := bytes.Clone(w.sources[0].entry().key)
		lost := w.isLost(key)
		e, found, err := w.newest(key, lost)
		if err != nil {
			return err
		}
		gone := removed.newest(key)
		if s := spare.newest(key); lost && e.seq > 0 {
			gone = max(gone, s)
		}
		if !found || e.deleted || e.seq < gone {
			continue
		}
		if bytes.Equal(key, markKey) {
			marked = decodeNumber(e.value)
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	for _, it := range w.iters {
		for _, l := range it.t.lossesAfter(it.read, w.tables[it.t.name]) {
			w.report(l)
		}
	}
	if marked < w.want.number {
		w.report(Loss{File: "log", Cause: "its end, with writes that were acknowledged, is lost", Writes: -1})
	}
	return nil
}

// newest moves all sources on that stand on the key, and returns its newest write. Spare sources count where something is
// lost: elsewhere the tables have all that is in them, and may have newer writes that have lost their numbers.
func (w *wreck) newest(key []byte, lost bool) (e write, found bool, err error) {
	for len(w.sources) > 0 && bytes.Equal(w.sources[0].entry().key, key) {
		first := w.sources[0]
		if !found && (lost || !first.spare()) {
			e, found = first.entry(), true
			e.key, e.value = key, bytes.Clone(e.value)
		}
		ok, err := first.next()
		if err != nil {
			return e, found, err
		}
		if ok {
			heap.Fix(&w.sources, 0)
		} else {
			heap.Pop(&w.sources)
		}
	}
	return e, found, nil
}

// isLost reports whether a table that cannot be read may have had the key.
func (w *wreck) isLost(key []byte) bool {
	return slices.ContainsFunc(w.lost, func(l Loss) bool {
		return bytes.Compare(key, l.After) > 0 && bytes.Compare(key, l.UpTo) <= 0
	})
}

// ranges are removed ranges in the order of their beginnings, to be asked about ascending keys.
type ranges struct {
	list   []removal
	active []removal
}

func newRanges(list []removal) ranges {
	slices.SortFunc(list, func(a, b removal) int { return bytes.Compare(a.lo, b.lo) })
	return ranges{list: list}
}

// newest returns the number of the last removal that covers the key, 0 for none.
func (r *ranges) newest(key []byte) (seq pebble.SeqNum) {
	for len(r.list) > 0 && bytes.Compare(r.list[0].lo, key) <= 0 {
		r.active, r.list = append(r.active, r.list[0]), r.list[1:]
	}
	r.active = slices.DeleteFunc(r.active, func(a removal) bool { return bytes.Compare(a.hi, key) <= 0 })
	for _, a := range r.active {
		seq = max(seq, a.seq)
	}
	return seq
}
