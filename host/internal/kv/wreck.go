package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

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
