package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// What to do about a damaged store, and where it cannot be repaired.
const (
	WhatNow   = kv.WhatNow
	Otherwise = kv.Otherwise
)

// Finding is something in a store that must not be.
type Finding struct {
	// Database is a full name; empty when it belongs to none.
	Database, Rule, Text string
	// Key of the store where it was found.
	Key []byte
	// Remedy says what RepairStore does about it, empty for nothing.
	Remedy string
	// Loses: the remedy gives up what may have been acknowledged.
	Loses bool
	// Repaired is set by RepairStore where it did what the remedy says.
	Repaired bool
}

// Checkup counts what was looked at, and what was found.
type Checkup = rows.Summary

// CheckOptions say how to look.
type CheckOptions struct {
	// Progress is told what is being looked at, and how far that is, when it changes and often meanwhile. It may be nil.
	Progress func(Progress)
}

// RepairOptions say how far a repair may go. The zero value loses nothing.
type RepairOptions struct {
	// AcceptLoss permits remedies that give up what may have been acknowledged.
	AcceptLoss bool
	// Progress is told what is being done, and how far it is, when that changes and often meanwhile. It may be nil.
	Progress func(Progress)
}

// Progress is how far a check or a repair is.
type Progress struct {
	// Doing is what is being done, for people.
	Doing string
	// Done are the keys or, where Of is not 0, the files of so many, that it is through with.
	Done, Of int
}

func (o RepairOptions) tell(doing string, done, of int) {
	if o.Progress != nil {
		o.Progress(Progress{doing, done, of})
	}
}

// looking tells of keys as rows.Check and rows.Repair look at them.
func (o RepairOptions) looking(doing string) func(keys int) {
	o.tell(doing, 0, 0)
	return func(keys int) { o.tell(doing, keys, 0) }
}

// salvaging tells of what kv.Salvage and kv.LossesIn do.
func (o RepairOptions) salvaging(tables, of, keys int) {
	if keys > 0 {
		o.tell("saving what can be read", keys, 0)
		return
	}
	o.tell("reading the files of the damaged store", tables, of)
}

// Repair says what a repair did.
type Repair struct {
	// Left is what a last check found.
	Left Checkup
	// Repaired counts findings.
	Repaired int
	// Copy has the store as it was before anything was changed, empty if nothing was: a backup or, of a store that was saved,
	// its files.
	Copy string
	// Saved are the keys that were saved of a store parts of which could not be read, 0 of any other. Blind: it could not be
	// told which files belonged to it, so that some may be missing without anybody knowing, and removed things may be back.
	Saved int
	Blind bool
}

// CheckStore goes through the store of a data directory that no daemon has open, changing nothing, and calls report for
// each thing that breaks an invariant. In a store that cannot be opened it reads all files.
func CheckStore(ctx context.Context, dataDir string, opts CheckOptions, report func(Finding)) (Checkup, error) {
	o := RepairOptions{Progress: opts.Progress}
	dir := filepath.Join(dataDir, storeDir)
	store, err := openUnlocked(func() (*kv.Store, error) { return kv.Open(dir, kv.Options{ReadOnly: true, Steps: formatSteps}) }, time.Sleep)
	if errors.Is(err, kv.ErrDamaged) {
		found, err := o.lookInto(ctx, dir, report, err)
		return Checkup{Findings: found}, err
	}
	if err != nil {
		return Checkup{}, err
	}
	sum, err := o.checkAll(ctx, store, report)
	return sum, errors.Join(err, store.Close())
}

// lookInto reports what cannot be read of a store that cannot be opened because of cause.
func (o RepairOptions) lookInto(ctx context.Context, dir string, report func(Finding), cause error) (found int, err error) {
	var losses []kv.Loss
	var atlas rows.Atlas
	_, err = kv.LossesIn(ctx, dir, kv.Options{ReadOnly: true, Steps: formatSteps, Salvaging: o.salvaging}, atlas.Learn, func(l kv.Loss) { losses = append(losses, l) })
	if err == nil && len(losses) == 0 {
		return 0, cause
	}
	for _, l := range losses {
		report(ofRows(atlas.Finding(l)))
	}
	return len(losses), err
}

func (o RepairOptions) checkAll(ctx context.Context, store *kv.Store, report func(Finding)) (Checkup, error) {
	tell := func(f rows.Finding) { report(ofRows(f)) }
	reading := func(done, of int) { o.tell("reading every file of the store", done, of) }
	from, lost, err := rows.CheckFiles(ctx, store, store, tell, rows.Progress{Files: reading})
	if err != nil {
		return Checkup{Findings: lost}, err
	}
	sum, err := rows.CheckTelling(ctx, from, tell, o.looking("checking the store"))
	if sum.Findings += lost; err != nil || sum.Findings > 0 {
		return sum, err // what follows from damaged rows is no news
	}
	err = blobs.Check(ctx, store, o.values(store), func(f blobs.Finding) {
		sum.Findings++
		report(ofBlobs(f))
	})
	return sum, err
}

// RepairStore puts right what CheckStore finds, as far as that can be done, and reports each finding. Before the first change it
// puts a copy of the store aside.
func RepairStore(ctx context.Context, dataDir string, opts RepairOptions, report func(Finding)) (r Repair, err error) {
	dir, now := filepath.Join(dataDir, storeDir), time.Now()
	aside := filepath.Join(dataDir, "before-repair-"+now.UTC().Format("20060102T150405.000"))
	store, err := openUnlocked(func() (*kv.Store, error) { return kv.Open(dir, kv.Options{Steps: formatSteps}) }, time.Sleep)
	switch {
	case errors.Is(err, kv.ErrDamaged) && opts.AcceptLoss:
		return salvage(ctx, dir, aside, opts, report)
	case errors.Is(err, kv.ErrDamaged):
		r.Left.Findings, err = opts.lookInto(ctx, dir, report, err)
		return r, err
	case err != nil:
		return r, err
	}
	lost, curable := 0, false
	r.Left, err = opts.checkAll(ctx, store, func(f Finding) {
		if f.Rule == string(rows.RuleFile) {
			lost++
			if !opts.AcceptLoss {
				report(f)
			}
		}
		curable = curable || f.Remedy != "" && (opts.AcceptLoss || !f.Loses)
	})
	if err != nil || lost > 0 {
		// Compactions would fail over and over again, so nothing is mended in place.
		if err = errors.Join(err, store.Close()); err != nil || !opts.AcceptLoss {
			r.Left.Findings = lost
			return r, err
		}
		return salvage(ctx, dir, aside, opts, report)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if curable {
		r.Copy = aside
		opts.tell("putting a copy of the store aside", 0, 0)
		if _, err := store.Backup(ctx, r.Copy, now); err != nil {
			return r, fmt.Errorf("put a copy of the store aside: %w", err)
		}
	}
	return r, r.mend(ctx, store, opts, report)
}

// mend puts right what is wrong in a store that can be read.
func (r *Repair) mend(ctx context.Context, store *kv.Store, opts RepairOptions, report func(Finding)) (err error) {
	tell := func(f Finding) {
		if f.Repaired {
			r.Repaired++
		}
		report(f)
	}
	how := rows.RepairOptions{AcceptLoss: opts.AcceptLoss, Looked: opts.looking("repairing, and checking again")}
	r.Left, err = rows.Repair(ctx, store, how, func(f rows.Finding, done bool) {
		found := ofRows(f)
		found.Repaired = done
		tell(found)
	})
	if err != nil || r.Left.Findings > 0 {
		return err
	}
	return blobs.Repair(ctx, store, opts.values(store), blobs.RepairOptions{AcceptLoss: opts.AcceptLoss}, func(f blobs.Finding, done bool) {
		found := ofBlobs(f)
		if found.Repaired = done; !done {
			r.Left.Findings++
		}
		tell(found)
	})
}

// salvage puts a new store in the place of one that cannot be read in all its parts. What peers hold of what was lost comes
// back when they compare; the device is another writer from then on, as nobody knows which names were lost.
func salvage(ctx context.Context, dir, aside string, opts RepairOptions, report func(Finding)) (r Repair, err error) {
	var losses []kv.Loss
	lost := func(l kv.Loss) { losses = append(losses, l) }
	s, err := kv.Salvage(ctx, dir, filepath.Join(aside, storeDir), kv.Options{Steps: formatSteps, Salvaging: opts.salvaging}, lost, func(store *kv.Store) error {
		atlas, err := rows.NewAtlas(store)
		if err != nil {
			return err
		}
		for _, l := range losses {
			f := ofRows(atlas.Finding(l))
			f.Repaired = true
			r.Repaired++
			report(f)
		}
		if err := r.mend(ctx, store, opts, report); err != nil {
			return err
		}
		if err := rows.RenewStore(store, randomNumber()); err != nil {
			return fmt.Errorf("what can be read does not make a store (%w); %s", err, kv.Otherwise)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Copy, r.Saved, r.Blind = aside, s.Keys, s.Blind
	return r, nil
}

// values are those of a store, for blobs.
func (o RepairOptions) values(store *kv.Store) countedValues {
	return countedValues{rows.Values{From: store}, o.looking("checking references to blobs")}
}

// countedValues tells how many values were visited.
type countedValues struct {
	rows.Values
	looked func(keys int)
}

func (v countedValues) Each(ctx context.Context, visit func(db, coll uint32, key string, value []byte) error) error {
	n := 0
	return v.Values.Each(ctx, func(db, coll uint32, key string, value []byte) error {
		n++
		v.looked(n)
		return visit(db, coll, key, value)
	})
}

func ofRows(f rows.Finding) Finding {
	found := Finding{Rule: string(f.Rule), Text: f.Text, Key: f.Key, Remedy: f.Remedy, Loses: f.Loses}
	if f.Database != (id.Name{}) {
		found.Database = f.Database.String()
	}
	return found
}

func ofBlobs(f blobs.Finding) Finding {
	return Finding{Rule: string(f.Rule), Text: f.Text, Key: f.Key, Remedy: f.Remedy, Loses: f.Loses}
}
