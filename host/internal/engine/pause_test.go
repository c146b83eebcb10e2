package engine

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

func (d *device) pause(paused bool) {
	d.t.Helper()
	if _, err := d.db.SetSettings(func(s *rows.Settings) { s.SyncPaused = paused }); err != nil {
		d.t.Fatal(err)
	}
}

// reference: sync-004 a paused database neither asks nor answers; both go on as soon as it is resumed.
func TestPausedDatabaseNeitherPullsNorServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		stop := b.follow(a, a.from(b, nil))
		defer stop()
		a.put("notes", "k", `1`)
		synctest.Wait()

		b.pause(true)
		a.put("notes", "k", `2`)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `1` {
			t.Errorf("a paused initiator got %s", got)
		}
		if failed := b.failed(); len(failed) > 0 {
			t.Errorf("a pause counts as failure: %v", failed)
		}
		b.pause(false)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `2` {
			t.Errorf("a resumed initiator has %s, want the newest without waiting", got)
		}

		a.pause(true)
		a.put("notes", "k", `3`)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `2` {
			t.Errorf("a paused responder sent %s", got)
		}
		if failed := b.failed(); len(failed) != 1 || !errors.Is(failed[0], ErrHidden) || !errors.Is(failed[0], ErrPaused) {
			t.Errorf("the pull ended with %v", failed)
		}
	})
}

// Whoever opens a pull of a paused database is told at once: it is not accepted first.
func TestPausedDatabaseAcceptsNoPull(t *testing.T) {
	a, b := both(t)
	a.pause(true)
	notes := named("notes")
	open := delta.Open{
		Database: dbName, Syncgroups: []id.Name{notes}, Self: b.db.Writer(),
		Known: []delta.ScopeVector{{Scope: id.Scope{Collection: collection("notes")}}},
	}
	err := a.engine.Serve(t.Context(), b.peer(), open, outlet{send: func(m delta.Message) error {
		t.Errorf("sent %+v", m)
		return nil
	}})
	if !errors.Is(err, ErrHidden) || !errors.Is(err, ErrPaused) {
		t.Errorf("%v, want ErrHidden and ErrPaused", err)
	}
}
