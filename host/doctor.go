package host

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	// Copy is a backup of the store as it was before anything was changed; empty if nothing was.
	Copy string
}

// CheckStore goes through the store of a data directory that no daemon has open, changing nothing, and calls report for
// each thing that breaks an invariant.
func CheckStore(ctx context.Context, dataDir string, report func(Finding)) (Checkup, error) {
	store, err := kv.Open(filepath.Join(dataDir, storeDir), kv.Options{ReadOnly: true, Steps: formatSteps})
	if err != nil {
		return Checkup{}, err
	}
	sum, err := checkAll(ctx, store, report)
	return sum, errors.Join(err, store.Close())
}

func checkAll(ctx context.Context, store *kv.Store, report func(Finding)) (Checkup, error) {
	sum, err := rows.Check(ctx, store, func(f rows.Finding) { report(ofRows(f)) })
	if err != nil || sum.Findings > 0 {
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
	if errors.Is(err, kv.ErrDamaged) && opts.AcceptLoss {
		lost := Finding{Rule: "log", Text: err.Error(), Remedy: "go on with what is left", Loses: true, Repaired: true}
		r.Copy = aside
		if err := os.CopyFS(filepath.Join(aside, storeDir), os.DirFS(dir)); err != nil {
			return r, fmt.Errorf("put a copy of the store aside: %w", err)
		}
		if store, err = kv.Open(dir, kv.Options{Steps: formatSteps, AcceptLoss: true}); err == nil {
			r.Repaired++
			report(lost)
		}
	}
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	curable := false
	r.Left, err = checkAll(ctx, store, func(f Finding) { curable = curable || f.Remedy != "" && (opts.AcceptLoss || !f.Loses) })
	if err != nil {
		return r, err
	}
	if curable && r.Copy == "" {
		r.Copy = aside
		if _, err := store.Backup(ctx, r.Copy, now); err != nil {
			return r, fmt.Errorf("put a copy of the store aside: %w", err)
		}
	}
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
		return r, err
	}
	return r, blobs.Repair(ctx, store, rows.Values{From: store}, blobs.RepairOptions{AcceptLoss: opts.AcceptLoss}, func(f blobs.Finding, done bool) {
		found := ofBlobs(f)
		if found.Repaired = done; !done {
			r.Left.Findings++
		}
		tell(found)
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
