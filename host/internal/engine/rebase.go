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
	got, err := f.db.Rebase(inv)
	if err != nil {
		return fmt.Errorf("hold rows against the inventory of %s: %w", f.peer.Name, err)
	}
	if got != (rows.Rebased{}) && f.e.events.Rebased != nil {
		f.e.events.Rebased(f.db, f.peer, inv.Scope, got)
	}
	return nil
}
