package hosttest_test

import (
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// heldBy returns what a host says of who holds its database back: the kinds, and the last part of the members' names.
func heldBy(t *testing.T, h *hosttest.Host) (list []string) {
	t.Helper()
	resp, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range resp.GetDatabases() {
		if d.GetLiveBytes() == 0 || d.GetLogBegins() > d.GetLogEnds() {
			t.Errorf("space of %s: %v", d.GetDatabase(), d)
		}
		for _, x := range d.GetHeldBy() {
			if x.GetAcknowledged() == nil {
				t.Errorf("%s never said what it holds", x.GetMember())
			}
			list = append(list, x.GetKind()+" "+x.GetMember()[strings.LastIndex(x.GetMember(), "/")+1:])
		}
	}
	return list
}
