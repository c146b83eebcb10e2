package hosttest_test

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// setQuota bounds the database on a host; 0 is no bound.
func setQuota(t *testing.T, h *hosttest.Host, bytes uint64) {
	t.Helper()
	_, err := h.API().UpdateDatabase(t.Context(), &nodev1.UpdateDatabaseRequest{
		Database: hosttest.Database, Settings: &nodev1.DatabaseSettings{QuotaBytes: &bytes},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// used is what a host's database takes.
func used(t *testing.T, h *hosttest.Host) uint64 {
	t.Helper()
	resp, err := h.API().GetDatabase(t.Context(), &nodev1.GetDatabaseRequest{Database: hosttest.Database})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetUsedBytes()
}

// refusedBy lists what a host says is refused, each with who refuses it and the first key.
func refusedBy(t *testing.T, h *hosttest.Host) (list []string) {
	t.Helper()
	stream, err := h.API().ListRefused(t.Context(), &nodev1.ListRefusedRequest{})
	for err == nil {
		var m *nodev1.ListRefusedResponse
		if m, err = stream.Recv(); err == nil {
			c := m.GetCommit()
			by := "here"
			if c.GetRefusedBy() != "" {
				by = c.GetRefusedBy()[strings.LastIndex(c.GetRefusedBy(), "/")+1:]
			}
			list = append(list, fmt.Sprintf("%s %s %s %d", by, c.GetKeys()[0], c.GetCode(), c.GetRecords()))
			if c.GetReason() == "" || c.GetSince() == nil || len(c.GetCollections()) != 1 || (by == "here") != (c.GetId() > 0) {
				t.Errorf("%s lists %v", h.Name(), c)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return list
}

func counts(t *testing.T, h *hosttest.Host) (here, elsewhere uint64) {
	t.Helper()
	resp, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range resp.GetRefused() {
		here, elsewhere = here+n.GetHere(), elsewhere+n.GetElsewhere()
	}
	return here, elsewhere
}

// The hub of a star has no room for a batch: everybody behind it gets the batch all the same, the hub everything else; both
// sides list it, the wait at the hub names it, and with room and a retry all are level.
func TestRefusedBatchIsListedOnBothSidesAndRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{
			Seed: 1, Hosts: []string{"hub", "x", "y"}, Knows: func(_, other string) bool { return other == "hub" },
		})
		c.Share()
		hub, x, y := c.Host("hub"), c.Host("x"), c.Host("y")
		// Members publish their addresses: only through the hub shall they reach each other.
		c.Partition([]string{"x"}, []string{"y"})
		time.Sleep(time.Minute)
		setQuota(t, hub, used(t, hub)+3000)
		big := strconv.Quote(strings.Repeat("x", 5000))
		x.Commit(hosttest.Put("before", `1`))
		x.Commit(hosttest.Put("big", big), hosttest.Put("beside", `1`))
		x.Commit(hosttest.Put("behind", `1`))
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff(map[string]string{"before": `1`, "behind": `1`}, hub.Rows()); diff != "" {
			t.Errorf("the hub (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(x.Rows(), y.Rows()); diff != "" {
			t.Errorf("behind the hub (-x +y):\n%s", diff)
		}
		for h, want := range map[*hosttest.Host]string{hub: "here big quota 2", x: "hub big quota 2", y: "hub big quota 2"} {
			if diff := cmp.Diff([]string{want}, refusedBy(t, h)); diff != "" {
				t.Errorf("%s lists (-want +got):\n%s", h.Name(), diff)
			}
		}
		if here, elsewhere := counts(t, hub); here != 1 || elsewhere != 0 {
			t.Errorf("status of the hub counts %d and %d", here, elsewhere)
		}
		if here, elsewhere := counts(t, x); here != 0 || elsewhere != 1 {
			t.Errorf("status of x counts %d and %d", here, elsewhere)
		}
		_, err := hub.API().WaitSyncgroup(t.Context(), &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "refuses 1 commit of ") || !strings.Contains(err.Error(), "quota") {
			t.Errorf("the wait at the hub: %v", err)
		}
		y.Wait()

		hub.Crash()
		hub.Start()
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"here big quota 2"}, refusedBy(t, hub)); diff != "" {
			t.Errorf("after a crash the hub lists (-want +got):\n%s", diff)
		}
		retry := func() *nodev1.RetryRefusedResponse {
			resp, err := hub.API().RetryRefused(t.Context(), &nodev1.RetryRefusedRequest{Database: hosttest.Database})
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		if r := retry(); r.GetApplied() != 0 || r.GetLeft() != 1 {
			t.Errorf("retry without room: %v", r)
		}
		setQuota(t, hub, 0)
		if r := retry(); r.GetApplied() != 1 || r.GetLeft() != 0 {
			t.Errorf("retry with room: %v", r)
		}
		time.Sleep(time.Second)
		for _, h := range c.Hosts() {
			if list := refusedBy(t, h); len(list) != 0 {
				t.Errorf("%s still lists %v", h.Name(), list)
			}
		}
		hub.Wait()
		c.Heal()
		c.Settle(time.Minute)
		if hub.Rows()["big"] != big {
			t.Error("the hub lacks big")
		}
		time.Sleep(15 * time.Minute)
		if _, divergences := verified(t, hub); divergences != 0 {
			t.Errorf("%d divergences", divergences)
		}
	})
}

// A member that refused something and is given room takes it within a minute, with nobody's help and without the writer.
func TestRefusedCommitIsTakenByItselfWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b"}})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		setQuota(t, b, used(t, b))
		a.Commit(hosttest.Put("k", `1`))
		time.Sleep(20 * time.Minute)
		if list := refusedBy(t, b); len(list) != 1 {
			t.Fatalf("b lists %v", list)
		}
		if _, divergences := verified(t, b); divergences != 0 {
			t.Errorf("a refused commit is taken for a divergence")
		}
		a.Stop()
		setQuota(t, b, 0)
		time.Sleep(61 * time.Second)
		if got := b.Rows()["k"]; got != `1` {
			t.Errorf("b has %q", got)
		}
	})
}

// What a member refused and took while it was no member is listed nowhere when it is one again: neither side may go by what the
// other could not be told meanwhile.
func TestRefusedCommitThatWasTakenOutsideTheSyncgroupIsNotListed(t *testing.T) {
	for name, away := range map[string]func(t *testing.T, a, b *hosttest.Host) (back func()){
		"left": func(t *testing.T, _, b *hosttest.Host) func() {
			leave(t, b)
			return func() {}
		},
		"ejected": func(t *testing.T, a, b *hosttest.Host) func() {
			eject(t, a, "b")
			return func() { allow(t, a, "b") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1})
				c.Share()
				a, b := c.Host("a"), c.Host("b")
				setQuota(t, b, used(t, b))
				a.Commit(hosttest.Put("k", `1`))
				time.Sleep(20 * time.Second)
				if diff := cmp.Diff([]string{"b k quota 1"}, refusedBy(t, a)); diff != "" {
					t.Fatalf("a lists (-want +got):\n%s", diff)
				}
				back := away(t, a, b)
				time.Sleep(20 * time.Second)
				setQuota(t, b, 0)
				time.Sleep(2 * time.Minute)
				if got := b.Rows()["k"]; got != `1` {
					t.Fatalf("b has %q", got)
				}
				back()
				b.Join(a)
				time.Sleep(time.Minute)
				if list := refusedBy(t, a); len(list) > 0 {
					t.Errorf("a lists %v", list)
				}
			})
		})
	}
}
