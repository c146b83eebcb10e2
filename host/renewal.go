package host

import (
	"crypto/rand"

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

// newInstance names one run of a daemon.
func newInstance() (instance [16]byte) {
	// crypto/rand.Read never fails.
	_, _ = rand.Read(instance[:])
	return instance
}

// maxTwins bounds the copies of this device for each of which it becomes another writer.
const maxTwins = 64

// metTwin tells that a copy of this device runs somewhere. Both become other writers, so that no name is used twice from now
// on; what has happened until then, witnesses will tell.
func (h *Host) metTwin(instance [16]byte, address string) {
	if !h.copies.meet(h.opts.Seams.Now(), instance, address) {
		return
	}
	h.log.Error("another daemon runs with the keys and the data of this device: its data directory was copied. Both go on as writers of their own; "+adviceOnCopies,
		"address", address)
	if err := h.rows.Renew(); err != nil {
		h.log.Error("cannot make this device another writer", "error", err)
	}
}
