package hosttest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// waitFor waits for as long as a person would.
func waitFor(t *testing.T, h *hosttest.Host) (uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
	defer cancel()
	got, err := h.API().WaitSyncgroup(ctx, &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	return got.GetPeers(), err
}

// memberNamed is the principal of the member whose device has the name.
func memberNamed(t *testing.T, h *hosttest.Host, name string) string {
	t.Helper()
	for m := range h.State().Members {
		if strings.HasSuffix(m, "/"+name) {
			return m
		}
	}
	t.Fatalf("%s is no member: %v", name, h.State().Members)
	return ""
}

// A member that deleted the database stays connected and in the register, and has nothing to be waited for.
func TestWaitPassesOverWhoServesNothing(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		d.Destroy()
		b.Commit(hosttest.Put("l", `1`))
		if peers, err := waitFor(t, a); err != nil || peers != 1 {
			t.Errorf("wait with one member that deleted the database: level with %d, %v", peers, err)
		}
		if got := a.Rows(); got["l"] == "" {
			t.Errorf("level, but without what b had: %v", got)
		}
		b.Stop()
		_, err := waitFor(t, a)
		wantCode(t, "wait for nobody but a member that deleted the database", err, codes.DeadlineExceeded)
	})
}

// A member that may not read any more is sent nothing, and waited for neither; without others there is nobody to wait for.
func TestWaitPassesOverWhoMayNotRead(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a := c.Host("a")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		in, err := json.Marshal(spec(t, a).Permissions["Read"].In)
		if err != nil {
			t.Fatal(err)
		}
		setSpec(t, a, `{"permissions":{"Admin":{"in":`+string(in)+`},"Read":{"in":`+string(in)+`,"not_in":["`+memberNamed(t, a, "b")+`"]}}}`)
		a.Commit(hosttest.Put("l", `1`))
		if peers, err := waitFor(t, a); err != nil || peers != 0 {
			t.Errorf("wait where no other member may read: level with %d, %v", peers, err)
		}
	})
}
