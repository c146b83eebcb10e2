package engine

import (
	"errors"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// amend makes this device another writer in the database if err is proof that it was set back; the witnesses of the peer
// tell how far. It returns nil if that was so and is mended, and what is wrong otherwise.
func (e *Engine) amend(db *rows.DB, from Peer, err error, witnesses []delta.Witness) error {
	var proof *rows.SetBackError
	if !errors.As(err, &proof) {
		return err
	}
	shown := []delta.ScopeVector{{Vector: id.Vector{proof.Shown.Writer: proof.Shown.Gen}}}
	var sure *rows.SetBackError
	if errors.As(db.Examine(witnesses, shown), &sure) {
		proof = sure
	}
	done, err := db.Renew(proof)
	if err != nil {
		return err
	}
	if e.events.Renewed != nil && done.From != done.To {
		e.events.Renewed(db, from, proof, done)
	}
	return nil
}
