package host

import (
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The clock moves only where the configuration says so, and takes what stamps commits with it.
func TestDevelopmentClock(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	h := &Host{log: hclog.NewNullLogger(), opts: Options{Seams: Seams{Now: func() time.Time { return start }}}}
	h.development()
	if h.shiftable() != nil {
		t.Fatal("the clock can be shifted without clock.development")
	}
	h.opts.Config.Clock.Development = true
	h.development()
	if now, ahead := h.shiftable().Shift(48 * time.Hour); ahead != 48*time.Hour || !now.Equal(start.Add(ahead)) {
		t.Errorf("shifted to %v, %v ahead", now, ahead)
	}
	if now := h.opts.Seams.Now(); !now.Equal(start.Add(48 * time.Hour)) {
		t.Errorf("what stamps commits says %v", now)
	}
}
