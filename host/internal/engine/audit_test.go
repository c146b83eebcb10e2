package engine

import (
	"context"
	"sync/atomic"
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
		honest := a.from(b, nil)
		var opened atomic.Int64
		b.follow(a, func(ctx context.Context, open delta.Open) (Stream, error) {
			if open.Probe {
				return honest(ctx, open)
			}
			if opened.Add(1) > 1 {
				return honest(ctx, open)
			}
			var scopes []id.Scope
			for _, k := range open.Known {
				scopes = append(scopes, k.Scope)
			}
			return &script{ctx: ctx, list: []delta.Message{{Accepted: scopes}}}, nil
		})
		time.Sleep(15 * time.Second)
		if n := opened.Load(); n != 1 {
			t.Errorf("opened %d times after one audit, want 1", n)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got, n := b.get("notes", "k"), opened.Load(); got != `1` || n != 2 {
			t.Errorf("after two audits b has %q and has opened %d times, want the value and 2", got, n)
		}
		time.Sleep(time.Hour)
		if n := opened.Load(); n != 2 {
			t.Errorf("opened %d times by audits of a pull that is level, want 2", n)
		}
	})
}
