package engine

import (
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// rebase holds what is here against a part of what the peer has, because it has dropped tombstones while this device was
// away. It comes before any commits, so whatever interrupts it, the next pull begins with it again.
func (f *follower) rebase(inv *delta.Inventory, accepted []id.Scope) error {
	if !slices.Contains(accepted, inv.Scope) {
		return fmt.Errorf("%w: an inventory of the scope %s, which was not asked for", rows.ErrRefused, inv.Scope)
	}
	if f.rebasing == nil {
		f.rebasing = f.db.BeginRebase()
	}
	got, err := f.rebasing.Take(inv)
	return f.rebased(inv.Scope, got, err)
}

// endRebase comes after the last inventory and before anything else; accepted are the scopes of the pull.
func (f *follower) endRebase(accepted []id.Scope) error {
	if f.rebasing == nil {
		return nil
	}
	got, err := f.rebasing.End()
	f.rebasing = nil
	return f.rebased(accepted[0], got, err)
}

// rebased tells what came of a part of a rebase.
func (f *follower) rebased(s id.Scope, got rows.Rebased, err error) error {
	if got != (rows.Rebased{}) && f.e.events.Rebased != nil {
		f.e.events.Rebased(f.db, f.peer, s, got)
	}
	if err != nil {
		return fmt.Errorf("hold rows against the inventory of %s: %w", f.peer.Name, err)
	}
	return nil
}
