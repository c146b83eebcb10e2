package host

import (
	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// reclaimer gives back the space of history that is kept no longer.
func (h *Host) reclaimer() *engine.Reclaimer {
	keep := h.opts.Config.Store.History
	r := engine.NewReclaimer(h.rows, h.identity.Principal(), engine.History{Keep: keep.Keep, MaxBytes: uint64(keep.MaxMiB) << 20}, h.opts.Seams.Now)
	r.Failed = func(db *rows.DB, err error) {
		h.log.Warn("cannot reclaim history", "database", db.Name(), "error", err)
	}
	return r
}

// holders tells who keeps a database from being reclaimed.
func (h *Host) holders(db *rows.DB) ([]api.Holder, error) {
	holders, err := h.reclaimer().Holders(db)
	list := make([]api.Holder, len(holders))
	for i, x := range holders {
		list[i] = api.Holder{Kind: string(x.Kind), Syncgroup: x.Syncgroup, Member: x.Member, Acknowledged: x.Acknowledged}
	}
	return list, err
}

// rebased is told what happened here because this device was away for long.
func (h *Host) rebased(db *rows.DB, from engine.Peer, scope id.Scope, got rows.Rebased) {
	h.log.Info("rows that were deleted while this device was away are gone", "database", db.Name(), "scope", scope, "peer", from.Name,
		"rows", got.Dropped, "written_anew", got.Renewed)
}
