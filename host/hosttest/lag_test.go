package hosttest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// slow is how many bytes a second go through a line that is slow.
const slow = 40_000

// many writes rows of about 300 bytes, 200 in a commit.
func many(h *hosttest.Host, prefix string, rows int) {
	value := `"` + strings.Repeat("x", 300) + `"`
	var ops []*nodev1.Op
	for i := range rows {
		ops = append(ops, hosttest.Put(fmt.Sprintf("%s%06d", prefix, i), value))
		if len(ops) == 200 || i == rows-1 {
			h.Commit(ops...)
			ops = nil
		}
	}
}

func statusOf(t *testing.T, h *hosttest.Host) *nodev1.StatusResponse {
	t.Helper()
	s, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func peerOf(t *testing.T, h *hosttest.Host, name string) *nodev1.Peer {
	t.Helper()
	for _, p := range statusOf(t, h).GetPeers() {
		if p.GetName() == name {
			return p
		}
	}
	t.Fatalf("%s does not know %s", h.Name(), name)
	return nil
}

func syncgroupOf(t *testing.T, h *hosttest.Host) *nodev1.SyncgroupState {
	t.Helper()
	list := statusOf(t, h).GetSyncgroups()
	if len(list) != 1 {
		t.Fatalf("%s has the syncgroups %v", h.Name(), list)
	}
	return list[0]
}

// observeLag watches a transfer of so many rows from a to b until it is over. Both say at all times that there is something left, about
// as much as there is, and that it becomes less; in the end nothing is.
func observeLag(t *testing.T, a, b *hosttest.Host, rows int) {
	t.Helper()
	time.Sleep(2 * time.Second)
	if lag := peerOf(t, b, "a").GetLagRecords(); lag == 0 {
		t.Error("after two seconds b has not heard that it lacks anything")
	}
	time.Sleep(5 * time.Second) // by then what was under way is there, and behind it a said how much had been written meanwhile
	var lags, owed []uint64
	for began := time.Now(); ; time.Sleep(time.Second) {
		toSend, lag, sg := peerOf(t, a, "b").GetToSendRecords(), peerOf(t, b, "a").GetLagRecords(), syncgroupOf(t, b)
		missing := rows - len(b.Rows())
		if missing == 0 {
			break
		}
		if lag < uint64(missing)*9/10 || lag > uint64(rows)+400 {
			t.Errorf("after %v b lacks %d rows and has the lag %d", time.Since(began), missing, lag)
		}
		if toSend < uint64(missing)*9/10 || toSend > uint64(rows)+400 {
			t.Errorf("after %v b lacks %d rows, and a has %d to send", time.Since(began), missing, toSend)
		}
		if sg.GetLagRecords() != lag {
			t.Errorf("the lag of the syncgroup is %d, and of its only other member %d", sg.GetLagRecords(), lag)
		}
		if sg.GetConnected() != 1 || sg.GetMembers() != 2 {
			t.Errorf("of %d members %d are connected, want 1 of 2", sg.GetMembers(), sg.GetConnected())
		}
		lags, owed = append(lags, lag), append(owed, toSend)
	}
	falls(t, "the lag of b", lags)
	falls(t, "what a has to send", owed)
	b.Wait()
	time.Sleep(time.Second)
	if lag, toSend := peerOf(t, b, "a").GetLagRecords(), peerOf(t, a, "b").GetToSendRecords(); lag != 0 || toSend != 0 {
		t.Errorf("in the end b lacks %d, and a has %d to send", lag, toSend)
	}
}

func falls(t *testing.T, what string, list []uint64) {
	t.Helper()
	if n := len(list); n < 5 {
		t.Fatalf("%s was seen %d times: %d", what, n, list)
	} else if list[n/2] > list[0]*4/5 || list[n-1] > list[0]/4 {
		t.Errorf("%s does not become less: %d", what, list)
	}
}

// A member that is level is sent much over a slow line: both know all the while how much is left.
func TestLagIsKnownWhileMuchIsSent(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		c.Limit("a", "b", slow)
		many(a, "k", 2000)
		observeLag(t, a, b, 2000)
	})
}

// So they do while a newcomer is sent all there is, of which its own admission comes last.
func TestLagIsKnownToNewcomers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{})
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		many(a, "k", 2000)
		time.Sleep(time.Second)
		c.Limit("a", "b", slow)
		b.Join(a)
		if got := syncgroupOf(t, b); got.GetState() != "pending" || got.GetMembers() != 2 || got.GetConnected() > 1 {
			t.Errorf("after joining: %v", got)
		}
		observeLag(t, a, b, 2000)
	})
}

// A member that says nothing of what is left, as of the version before, is followed all the same, and whoever waits for it learns how
// much there is.
func TestLagBehindAnOlderMember(t *testing.T) {
	shared(t, hosttest.Options{Older: func(host string) bool { return host == "a" }}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		c.Limit("a", "b", slow)
		many(a, "k", 1200)
		waitShortly(t, b)
		if lag := peerOf(t, b, "a").GetLagRecords(); lag < 400 || lag > 1600 {
			t.Errorf("b, which has %d of 1200 rows, has the lag %d", len(b.Rows()), lag)
		}
		c.Settle(2 * time.Minute)
		if lag := peerOf(t, b, "a").GetLagRecords(); lag != 0 {
			t.Errorf("in the end b has the lag %d", lag)
		}
	})
}

// waitShortly waits for too short a time.
func waitShortly(t *testing.T, h *hosttest.Host) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	_, err := h.API().WaitSyncgroup(ctx, &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	wantCode(t, "wait while much is sent", err, codes.DeadlineExceeded)
}
