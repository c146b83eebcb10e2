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

// RepairOptions say how far a repair may go. The zero value loses nothing.
type RepairOptions struct {
	// AcceptLoss permits remedies that give up what may have been acknowledged.
	AcceptLoss bool
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
func CheckStore(ctx context.Context, dataDir string, report func(Finding)) (Checkup, error) {
	dir := filepath.Join(dataDir, storeDir)
	store, err := kv.Open(dir, kv.Options{ReadOnly: true, Steps: formatSteps})
	if errors.Is(err, kv.ErrDamaged) {
		found, err := lookInto(ctx, dir, report, err)
		return Checkup{Findings: found}, err
	}
	if err != nil {
		return Checkup{}, err
	}
	sum, err := checkAll(ctx, store, report)
	return sum, errors.Join(err, store.Close())
}

// lookInto reports what cannot be read of a store that cannot be opened because of cause.
func lookInto(ctx context.Context, dir string, report func(Finding), cause error) (found int, err error) {
	var losses []kv.Loss
	var atlas rows.Atlas
	_, err = kv.LossesIn(ctx, dir, kv.Options{Steps: formatSteps}, atlas.Learn, func(l kv.Loss) { losses = append(losses, l) })
	if err == nil && len(losses) == 0 {
		return 0, cause
	}
	for _, l := range losses {
		report(ofRows(atlas.Finding(l)))
	}
	return len(losses), err
}

func checkAll(ctx context.Context, store *kv.Store, report func(Finding)) (Checkup, error) {
	tell := func(f rows.Finding) { report(ofRows(f)) }
	from, lost, err := rows.CheckFiles(ctx, store, store, tell)
	if err != nil {
		return Checkup{Findings: lost}, err
	}
	sum, err := rows.Check(ctx, from, tell)
	if sum.Findings += lost; err != nil || sum.Findings > 0 {
		return sum, err // what follows from damaged rows is no news
	}
	err = blobs.Check(ctx, store, rows.Values{From: store}, func(f blobs.Finding) {
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
	store, err := kv.Open(dir, kv.Options{Steps: formatSteps})
	switch {
	case errors.Is(err, kv.ErrDamaged) && opts.AcceptLoss:
		return salvage(ctx, dir, aside, report)
	case errors.Is(err, kv.ErrDamaged):
		r.Left.Findings, err = lookInto(ctx, dir, report, err)
		return r, err
	case err != nil:
		return r, err
	}
	lost, curable := 0, false
	r.Left, err = checkAll(ctx, store, func(f Finding) {
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
		return salvage(ctx, dir, aside, report)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if curable {
		r.Copy = aside
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
	r.Left, err = rows.Repair(ctx, store, rows.RepairOptions{AcceptLoss: opts.AcceptLoss}, func(f rows.Finding, done bool) {
		found := ofRows(f)
		found.Repaired = done
		tell(found)
	})
	if err != nil || r.Left.Findings > 0 {
		return err
	}
	return blobs.Repair(ctx, store, rows.Values{From: store}, blobs.RepairOptions{AcceptLoss: opts.AcceptLoss}, func(f blobs.Finding, done bool) {
		found := ofBlobs(f)
		if found.Repaired = done; !done {
			r.Left.Findings++
		}
		tell(found)
	})
}

// salvage puts a new store in the place of one that cannot be read in all its parts. What peers hold of what was lost comes
// back when they compare; the device is another writer from then on, as nobody knows which names were lost.
func salvage(ctx context.Context, dir, aside string, report func(Finding)) (r Repair, err error) {
	var losses []kv.Loss
	lost := func(l kv.Loss) { losses = append(losses, l) }
	s, err := kv.Salvage(ctx, dir, filepath.Join(aside, storeDir), kv.Options{Steps: formatSteps}, lost, func(store *kv.Store) error {
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
		if err := r.mend(ctx, store, RepairOptions{AcceptLoss: true}, report); err != nil {
			return err
		}
		if err := rows.RenewStore(store, randomNumber()); err != nil {
			return fmt.Errorf("what can be read does not make a store (%w); restore a backup, or begin with an empty data directory and the old identity, and sync anew", err)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	r.Copy, r.Saved, r.Blind = aside, s.Keys, s.Blind
	return r, nil
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
