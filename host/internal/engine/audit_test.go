package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// A pull that has silently missed something is opened anew after two audits, and one that is level never is.
func TestAuditOpensAStuckPullAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		b.engine.Audit = 10 * time.Second
		a.put("notes", "k", `1`)
		honest, opened := a.from(b, nil), 0
		b.follow(a, func(ctx context.Context, open delta.Open) (Stream, error) {
			if open.Probe {
				return honest(ctx, open)
			}
			opened++
			if opened > 1 {
				return honest(ctx, open)
			}
			var scopes []id.Scope
			for _, k := range open.Known {
				scopes = append(scopes, k.Scope)
			}
			return &script{ctx: ctx, list: []delta.Message{{Accepted: scopes}}}, nil
		})
		time.Sleep(15 * time.Second)
		if opened != 1 {
			t.Errorf("opened %d times after one audit, want 1", opened)
		}
		time.Sleep(10 * time.Second)
		if got := b.get("notes", "k"); got != `1` || opened != 2 {
			t.Errorf("after two audits b has %q and has opened %d times, want the value and 2", got, opened)
		}
		time.Sleep(time.Hour)
		if opened != 2 {
			t.Errorf("opened %d times by audits of a pull that is level, want 2", opened)
		}
	})
}
