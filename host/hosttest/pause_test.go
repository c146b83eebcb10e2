package hosttest_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

func pauseSyncing(t *testing.T, h *hosttest.Host, paused bool) {
	t.Helper()
	resp, err := h.API().UpdateDatabase(t.Context(), &nodev1.UpdateDatabaseRequest{
		Database: hosttest.Database, Settings: &nodev1.DatabaseSettings{SyncPaused: &paused},
	})
	mustDo(t, resp, err)
}

// peerError is what a host says is wrong with a peer.
func peerError(t *testing.T, h *hosttest.Host, name string) string {
	t.Helper()
	stream, err := h.API().ListPeers(t.Context(), &nodev1.ListPeersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.GetPeer().GetName() == name {
			return m.GetPeer().GetError()
		}
	}
}

// Members of a peer that has paused syncing are told so, by name, and no more once it goes on.
func TestPauseOfAPeerIsNamed(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		pauseSyncing(t, a, true)
		eventually(t, "b lists the pause", func() bool { return strings.Contains(peerError(t, b, "a"), "a has paused syncing") })
		_, err := b.API().WaitSyncgroup(t.Context(), &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
		if said := status.Convert(err); said.Code() != codes.FailedPrecondition || !strings.Contains(said.Message(), "a has paused syncing of ") {
			t.Errorf("wait while a has paused: %v", err)
		}
		_, err = a.API().WaitSyncgroup(t.Context(), &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
		if said := status.Convert(err); said.Code() != codes.FailedPrecondition || !strings.Contains(said.Message(), "is paused on this device; 'syncbase db resume'") {
			t.Errorf("wait where it is paused: %v", err)
		}
		a.Commit(hosttest.Put("k", `2`))
		pauseSyncing(t, a, false)
		eventually(t, "b goes on", func() bool { return b.Rows()["k"] == `2` })
		b.Wait()
		if got := peerError(t, b, "a"); got != "" {
			t.Errorf("b still lists %q", got)
		}
	})
}

// Who is not let in is told why in one sentence, which says what to do.
func TestRefusedJoinSaysWhatToDo(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, d := c.Host("a"), c.Host("c")
		eject(t, a, "c")
		eventually(t, "c hears of it", func() bool { return state(t, d) == "ejected" })
		for _, refused := range []struct {
			name string
			code codes.Code
			says string
		}{
			{hosttest.Syncgroup, codes.PermissionDenied, "was ejected; somebody with Admin has to allow it to join again"},
			{"none", codes.NotFound, "check the names, and that the access list"},
		} {
			err := d.TryJoin(t.Context(), refused.name, a)
			text := status.Convert(err).Message()
			wantCode(t, "join "+refused.name, err, refused.code)
			if !strings.Contains(text, refused.says) || strings.Contains(text, "rpc error") || strings.Count(text, "denied") > 1 || strings.Count(text, "not found") > 1 {
				t.Errorf("join %s: %q, want one sentence with %q", refused.name, text, refused.says)
			}
		}
	})
}
