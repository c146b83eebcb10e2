package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// remembers reports whether a host has anything to tell of a row: the row itself or its tombstone.
func remembers(t *testing.T, h *hosttest.Host, key string) bool {
	t.Helper()
	_, err := h.API().History(t.Context(), &nodev1.HistoryRequest{Database: hosttest.Database, Collection: hosttest.Collection, Key: key})
	if err != nil && status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	return err == nil
}

// Members that are connected forget a delete soon after it, and then say nothing any more.
func TestMembersForgetDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}, Keep: time.Second})
		c.Share()
		a, b := c.Host("a"), c.Host("b")
		for i := range 20 {
			a.Commit(hosttest.Put("x", fmt.Sprint(i)), hosttest.Put("gone", `1`))
		}
		c.Settle(time.Minute)
		b.Commit(hosttest.Delete("gone"))
		b.Commit(hosttest.Put("y", `1`))
		c.Settle(time.Minute)
		time.Sleep(5 * time.Minute)
		for _, h := range c.Hosts() {
			if remembers(t, h, "gone") {
				t.Errorf("%s still has the tombstone", h.Name())
			}
			if n := len(h.History("x").GetVersions()); n != 1 {
				t.Errorf("%s keeps %d versions of x, want the present one", h.Name(), n)
			}
		}
		if diff := c.Diff(); diff != "" {
			t.Errorf("hosts differ:\n%s", diff)
		}
		time.Sleep(5 * time.Minute)
		quiet := c.Carried("a", "b")
		time.Sleep(10 * time.Minute)
		if n := c.Carried("a", "b") - quiet; n > 200*10*60 {
			t.Errorf("an idle host sent %d bytes in ten minutes", n)
		}
	})
}

// A member that is away holds tombstones back until it is removed. When it comes back nothing that was deleted rises again,
// and what it wrote meanwhile is not lost.
func TestMemberBelowTheFrontierComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 2, Hosts: []string{"a", "b", "c"}, Keep: time.Second})
		c.Share()
		a, b, away := c.Host("a"), c.Host("b"), c.Host("c")
		for i := range 10 {
			a.Commit(hosttest.Put(fmt.Sprint("k", i), `1`))
		}
		c.Settle(time.Minute)
		time.Sleep(3 * time.Minute)
		c.Partition([]string{"c"}, []string{"a", "b"})
		away.Commit(hosttest.Put("theirs", `1`))
		for i := range 5 {
			b.Commit(hosttest.Delete(fmt.Sprint("k", i)))
		}
		b.Commit(hosttest.Put("after", `1`))
		time.Sleep(10 * time.Minute)
		if !remembers(t, a, "k0") || !remembers(t, b, "k0") {
			t.Error("a tombstone is gone that a member has not heard of")
		}
		for _, h := range []*hosttest.Host{a, b} {
			if diff := cmp.Diff([]string{"member c"}, heldBy(t, h)); diff != "" {
				t.Errorf("who holds %s back (-want +got):\n%s", h.Name(), diff)
			}
		}
		if _, err := a.API().EjectMember(t.Context(), &nodev1.EjectMemberRequest{
			Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: "c",
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if remembers(t, a, "k0") || remembers(t, b, "k0") {
			t.Error("a tombstone is still there that only a removed member has not heard of")
		}
		if list := heldBy(t, a); len(list) > 0 {
			t.Errorf("held back by %v, although who was silent is removed", list)
		}
		if _, err := a.API().AllowMember(t.Context(), &nodev1.AllowMemberRequest{
			Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: "c",
		}); err != nil {
			t.Fatal(err)
		}
		c.Heal()
		time.Sleep(2 * time.Minute)
		away.Join(a)
		c.Settle(5 * time.Minute)
		want := map[string]string{"after": `1`, "theirs": `1`}
		for i := 5; i < 10; i++ {
			want[fmt.Sprint("k", i)] = `1`
		}
		for _, h := range c.Hosts() {
			if diff := cmp.Diff(want, h.Rows()); diff != "" {
				t.Errorf("rows of %s (-want +got):\n%s", h.Name(), diff)
			}
		}
	})
}
