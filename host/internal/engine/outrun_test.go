package engine

import (
	"errors"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// A responder that is told of forgotten deletes amid a pull ends it, as if there were nothing for the initiator any more; so that asks
// anew. What the responder has learned since is neither sent nor reported.
func TestResponderThatIsToldOfForgottenDeletesEndsThePull(t *testing.T) {
	a, b := both(t)
	a.put("notes", "k", `1`)
	notes := id.Scope{Collection: collection("notes")}
	open := delta.Open{
		Database: dbName, Syncgroups: []id.Name{named("notes")}, Self: b.db.Writer(), Known: []delta.ScopeVector{{Scope: notes}},
	}
	forgotten := id.Vector{{Device: id.Device{9}, Epoch: 1}: 7}
	told, before := false, uint64(0)
	err := a.engine.Serve(t.Context(), b.peer(), open, outlet{send: func(m delta.Message) error {
		if m.Accepted != nil {
			return nil
		}
		if told {
			if len(m.Progress) != 1 || m.Progress[0].Vector[a.db.Writer()] > before {
				t.Errorf("sent %+v after that", m)
			}
			return nil
		}
		told, before = true, a.db.Published().Know.Own().Gen
		r := a.db.BeginRebase()
		if _, err := r.Take(&delta.Inventory{Scope: notes, Dropped: forgotten, Bare: true}); err != nil {
			return err
		}
		_, err := r.End()
		a.put("notes", "later", `1`)
		return err
	}})
	if !told || !errors.Is(err, ErrHidden) || !errors.Is(err, rows.ErrOutrun) {
		t.Errorf("told %v, then the pull ended with %v; want ErrHidden and ErrOutrun", told, err)
	}
}
