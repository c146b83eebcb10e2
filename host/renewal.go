package host

import (
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// renewed tells that this device has become another writer in a database, and makes it one in all others: whatever set
// this one back did so to them.
func (h *Host) renewed(db *rows.DB, from engine.Peer, proof error, done rows.Renewed) {
	h.log.Error("this device was set back to an earlier state, or copied; it goes on as another writer, and what it had written before comes back from its peers",
		"database", db.Name(), "peer", from.Name, "proof", proof, "was", done.From, "is", done.To, "records_renamed", done.Renamed)
	if err := h.rows.Renew(); err != nil {
		h.log.Error("cannot make this device another writer in its other databases", "error", err)
	}
}
