package host

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/identity"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// A store that has failed is an alarm from when that was first seen.
func TestAlarmOfFailedStore(t *testing.T) {
	who, err := identity.Open(t.TempDir(), identity.Options{Name: "desk"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_000_000, 0)
	h := &Host{identity: who, log: hclog.NewNullLogger()}
	h.opts.Seams.Now = func() time.Time { return now }
	w := &diskWatch{h: h}
	if list := w.alarms(kv.Space{}, nil); len(list) != 0 {
		t.Fatalf("alarms of a store that is well: %v", list)
	}
	for range 2 {
		list := w.alarms(kv.Space{}, kv.ErrFailed)
		if len(list) != 1 || list[0].Kind != "store" || list[0].Since.Unix() != 1_000_000 || !strings.Contains(list[0].Text, "start the daemon again") {
			t.Errorf("alarms %v", list)
		}
		now = now.Add(time.Hour)
	}
}
