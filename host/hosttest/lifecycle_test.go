package hosttest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// three hosts that share a collection.
var three = hosttest.Options{Hosts: []string{"a", "b", "c"}}

// state is how a host stands to the syncgroup.
func state(t *testing.T, h *hosttest.Host) string { return standing(t, h).GetState() }

func standing(t *testing.T, h *hosttest.Host) *nodev1.ListSyncgroupsResponse {
	t.Helper()
	stream, err := h.API().ListSyncgroups(t.Context(), &nodev1.ListSyncgroupsRequest{Database: hosttest.Database})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return &nodev1.ListSyncgroupsResponse{}
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(m.GetSyncgroup(), ":"+hosttest.Syncgroup) {
			return m
		}
	}
}

// members are the names of the devices that the host takes for members.
func members(h *hosttest.Host) string {
	var names []string
	for _, m := range slices.Sorted(maps.Keys(h.State().Members)) {
		names = append(names, m[strings.LastIndex(m, "/")+1:])
	}
	return strings.Join(names, " ")
}

func wantMembers(t *testing.T, want string, hosts ...*hosttest.Host) {
	t.Helper()
	for _, h := range hosts {
		if got := members(h); got != want {
			t.Errorf("%s has the members %q, want %q", h.Name(), got, want)
		}
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func wantCode(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
}

func mustDo[M any](t *testing.T, _ M, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func leave(t *testing.T, h *hosttest.Host) {
	t.Helper()
	resp, err := h.API().LeaveSyncgroup(t.Context(), &nodev1.LeaveSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	mustDo(t, resp, err)
}

func eject(t *testing.T, h *hosttest.Host, member string) {
	t.Helper()
	resp, err := h.API().EjectMember(t.Context(), &nodev1.EjectMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: member})
	mustDo(t, resp, err)
}

func destroy(t *testing.T, h *hosttest.Host) {
	t.Helper()
	resp, err := h.API().DestroySyncgroup(t.Context(), &nodev1.DestroySyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	mustDo(t, resp, err)
}

func setSpec(t *testing.T, h *hosttest.Host, change string) {
	t.Helper()
	resp, err := h.API().SetSyncgroupSpec(t.Context(), &nodev1.SetSyncgroupSpecRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Spec: []byte(change)})
	mustDo(t, resp, err)
}

// spec is the specification that a host has.
func spec(t *testing.T, h *hosttest.Host) (s struct {
	Description string
	Private     bool
	Permissions map[string]struct{ In []string }
}) {
	t.Helper()
	resp, err := h.API().GetSyncgroupSpec(t.Context(), &nodev1.GetSyncgroupSpecRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	mustDo(t, resp, err)
	if err := json.Unmarshal(resp.GetSpec(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// frozen checks that a host has the row, and that it is read-only there.
func frozen(t *testing.T, h *hosttest.Host, key, value string) {
	t.Helper()
	if got := h.Rows()[key]; got != value {
		t.Errorf("%s has %q for %s, want %s", h.Name(), got, key, value)
	}
	_, err := h.TryCommit(t.Context(), hosttest.Put(key, `"mine"`))
	wantCode(t, "write to what is not shared any more on "+h.Name(), err, codes.FailedPrecondition)
}

// reference: sync-216 after a device has left, nothing is exchanged with it; it keeps its data, read-only; the others list
// it no more; when it joins again, it goes on where it stopped.
func TestLeaveAndJoinAgain(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		leave(t, b)
		frozen(t, b, "k", `1`)
		eventually(t, "the others hear of it", func() bool { return members(a) == "a c" && members(d) == "a c" })
		a.Commit(hosttest.Put("k", `2`))
		time.Sleep(time.Hour)
		frozen(t, b, "k", `1`)
		if got := state(t, b); got != "left" {
			t.Errorf("b is %q", got)
		}
		_, err := b.API().LeaveSyncgroup(t.Context(), &nodev1.LeaveSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
		wantCode(t, "leave again", err, codes.FailedPrecondition)

		b.Stop()
		b.Start()
		frozen(t, b, "k", `1`)
		b.Join(d)
		b.Wait()
		b.Commit(hosttest.Put("from b", `3`))
		c.Settle(time.Minute)
		if got := a.Rows(); got["k"] != `2` || got["from b"] != `3` {
			t.Errorf("a has %v", got)
		}
	})
}

// reference: sync-216 a device that leaves while it is alone is missed by nobody for longer than it takes to meet.
func TestLeaveOutOfSight(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		c.Partition([]string{"b"}, []string{"a", "c"})
		leave(t, b)
		a.Commit(hosttest.Put("k", `1`))
		time.Sleep(time.Minute)
		wantMembers(t, "a b c", a, d)
		c.Heal()
		eventually(t, "the others hear of it", func() bool { return members(a) == "a c" && members(d) == "a c" })
		time.Sleep(time.Minute)
		if got := b.Rows(); len(got) != 0 {
			t.Errorf("b got %v after it had left", got)
		}
	})
}

// reference: sync-216 a device that is ejected, whether it is there or away, learns of it; it keeps its data, read-only, and
// cannot join again until an administrator allows it. Nobody ejects itself.
func TestEjectedUntilAllowed(t *testing.T) {
	for _, away := range []bool{false, true} {
		shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
			a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
			a.Commit(hosttest.Put("k", `1`))
			c.Settle(time.Minute)
			_, err := a.API().EjectMember(t.Context(), &nodev1.EjectMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: "a"})
			wantCode(t, "a ejects itself", err, codes.InvalidArgument)
			if away {
				c.Partition([]string{"c"}, []string{"a", "b"})
			}
			eject(t, a, "c")
			a.Commit(hosttest.Put("k", `2`))
			eventually(t, "b hears of it", func() bool { return members(b) == "a b" })
			if away {
				d.Commit(hosttest.Put("from c", `1`))
				time.Sleep(time.Minute)
				c.Heal()
			}
			eventually(t, "c hears of it", func() bool { return state(t, d) == "ejected" })
			if got := standing(t, d).GetReason(); !strings.Contains(got, "ejected") {
				t.Errorf("c was ejected because of %q", got)
			}
			frozen(t, d, "k", `1`)
			if got := a.Rows()["from c"]; got != "" {
				t.Errorf("a took %s from c, which was ejected", got)
			}
			for _, at := range []*hosttest.Host{a, b} {
				wantCode(t, "c joins again", d.TryJoin(t.Context(), hosttest.Syncgroup, at), codes.PermissionDenied)
			}
			joinsSoon(t, d, hosttest.Syncgroup, codes.PermissionDenied, "was ejected")
			joinsSoon(t, d, "nobody has it", codes.NotFound, "none of the 2 peers")
			resp, err := b.API().AllowMember(t.Context(), &nodev1.AllowMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: "c"})
			mustDo(t, resp, err)
			wantMembers(t, "a b", b)
			d.Join(b)
			d.Wait()
			c.Settle(5 * time.Minute)
			if got := d.Rows()["k"]; got != `2` {
				t.Errorf("c has %s after it was let in again", got)
			}
		})
	}
}

// reference: sync-216 the end of a syncgroup reaches members that were away; the data stays everywhere, read-only; the name
// can be used anew, without any of the former members.
func TestDestroyEndsItForEverybody(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		d.Stop()
		destroy(t, a)
		eventually(t, "b stops", func() bool { return state(t, b) == "destroyed" })
		frozen(t, b, "k", `1`)
		a.Stop()
		d.Start()
		eventually(t, "c hears of it from b", func() bool { return state(t, d) == "destroyed" })
		frozen(t, d, "k", `1`)
		wantCode(t, "join what was destroyed", d.TryJoin(t.Context(), hosttest.Syncgroup, b), codes.NotFound)

		a.Start()
		a.CreateSyncgroup(hosttest.Syncgroup, "")
		wantMembers(t, "a", a)
		a.Commit(hosttest.Put("k", `2`))
		time.Sleep(time.Minute)
		frozen(t, d, "k", `1`)
		for _, h := range []*hosttest.Host{b, d} {
			h.Join(a)
			h.Wait()
		}
		c.Settle(5 * time.Minute)
	})
}

// What a device that has left may come back to cannot be destroyed there, which would destroy it for the others or keep the device out; the
// database can, and its end is not that of the others' rows.
func TestWhatWasDestroyedOutsideIsNotDestroyedInside(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		leave(t, b)
		_, err := b.API().DestroyCollection(t.Context(), &nodev1.DestroyCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
		wantCode(t, "destroy the collection", err, codes.FailedPrecondition)
		b.Join(a)
		b.Wait()
		c.Settle(time.Minute)
		leave(t, b)
		gone, err := b.API().DestroyDatabase(t.Context(), &nodev1.DestroyDatabaseRequest{Database: hosttest.Database})
		mustDo(t, gone, err)
		b.Join(a)
		b.Wait()
		c.Settle(time.Minute)
		if got := b.Rows()["k"]; got != `1` {
			t.Errorf("b has %q", got)
		}
	})
}

// A member that joins again before the others have heard that it left is a member everywhere, in whatever order they hear of both.
func TestJoiningAgainAtOnce(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		c.Settle(time.Minute)
		for i := range 20 {
			leave(t, b)
			b.Join(a)
			eventually(t, "both count each other", func() bool { return members(a) == "a b" && members(b) == "a b" })
			a.Commit(hosttest.Put("k", fmt.Sprint(i)))
			c.Settle(5 * time.Minute)
		}
	})
}

// reference: sync-194 two administrators change the specification at the same time, out of each other's sight: of different
// fields both changes count, of an access list what both added and what either removed, and all members agree.
func TestConcurrentSpecsAreMerged(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		owner := spec(t, a).Permissions["Read"].In[0]
		list := func(read ...string) string {
			text, err := json.Marshal(map[string]any{"Admin": map[string]any{"in": []string{owner}}, "Read": map[string]any{"in": append(read, owner)}})
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		setSpec(t, a, `{"permissions":`+list("friend.net/both", "friend.net/gone")+`}`)
		c.Settle(time.Minute)
		c.Partition([]string{"a"}, []string{"b", "c"})
		setSpec(t, a, `{"description":"by a","permissions":`+list("friend.net/both", "friend.net/gone", "friend.net/one")+`}`)
		setSpec(t, b, `{"private":true,"permissions":`+list("friend.net/both", "friend.net/two")+`}`)
		c.Heal()
		c.Settle(5 * time.Minute)
		got := spec(t, c.Host("c"))
		want := []string{"friend.net/both", "friend.net/one", "friend.net/two", owner}
		slices.Sort(want)
		if read := got.Permissions["Read"].In; got.Description != "by a" || !got.Private || !slices.Equal(read, want) {
			t.Errorf("merged to %+v, want both changes and %v", got, want)
		}
	})
}

// joinsSoon checks what comes of a join that names no peer, and that the answer does not wait for others to turn up.
func joinsSoon(t *testing.T, h *hosttest.Host, name string, code codes.Code, says string) {
	t.Helper()
	begun := time.Now()
	_, err := h.API().JoinSyncgroup(t.Context(), &nodev1.JoinSyncgroupRequest{Database: hosttest.Database, Syncgroup: name})
	if took := time.Since(begun); status.Code(err) != code || !strings.Contains(status.Convert(err).Message(), says) || took > 4*time.Second {
		t.Errorf("join %q: %v after %s; want %s and %q at once", name, err, took, code, says)
	}
}

// A reader that is taken off the access list gets nothing more from anybody who knows, and goes on when it is back on it.
func TestRemovedReaderIsCutOff(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, d := c.Host("a"), c.Host("c")
		var out string
		for m := range a.State().Members {
			if strings.HasSuffix(m, "/c") {
				out = m
			}
		}
		before, err := json.Marshal(spec(t, a).Permissions["Read"].In)
		if err != nil {
			t.Fatal(err)
		}
		list := `{"permissions":{"Admin":{"in":` + string(before) + `},"Read":{"in":` + string(before) + `%}}}`
		setSpec(t, a, strings.Replace(list, "%", `,"not_in":["`+out+`"]`, 1))
		eventually(t, "b knows", func() bool { return c.Host("b").State().Spec == a.State().Spec })
		time.Sleep(time.Second)
		a.Commit(hosttest.Put("k", `1`))
		c.Host("b").Commit(hosttest.Put("l", `1`))
		time.Sleep(10 * time.Minute)
		if got := d.Rows(); len(got) != 0 {
			t.Errorf("c, which may not read any more, got %v", got)
		}
		if got := standing(t, d); got.GetState() != "removed" || !strings.Contains(got.GetReason(), "not on the access list") || !strings.Contains(got.GetReason(), "/device/") {
			t.Errorf("c takes itself for %v, want removed, with who says so", got)
		}
		_, err = d.API().WaitSyncgroup(t.Context(), &nodev1.WaitSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
		wantCode(t, "wait of who was removed", err, codes.FailedPrecondition)
		d.Stop()
		d.Start()
		if got := state(t, d); got != "removed" {
			t.Errorf("after a restart c takes itself for %s", got)
		}
		setSpec(t, a, strings.Replace(list, "%", "", 1))
		c.Settle(5 * time.Minute)
		if got := d.Rows(); len(got) != 2 {
			t.Errorf("c, which may read again, has %v", got)
		}
		if got := standing(t, d); got.GetState() != "member" || got.GetReason() != "" {
			t.Errorf("c, which may read again, takes itself for %v", got)
		}
	})
}

// A device that changed the specification while it was taken off the list elsewhere hears of it, although its own is the later one.
func TestRemovedWhileItChangedTheSpec(t *testing.T) {
	shared(t, three, func(t *testing.T, c *hosttest.Cluster) {
		a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
		in, err := json.Marshal(spec(t, a).Permissions["Read"].In)
		if err != nil {
			t.Fatal(err)
		}
		out := memberNamed(t, a, "c")
		list := `{"permissions":{"Admin":{"in":` + string(in) + `},"Read":{"in":` + string(in) + `%}}}`
		d.Stop()
		setSpec(t, a, strings.Replace(list, "%", `,"not_in":["`+out+`"]`, 1))
		eventually(t, "b knows", func() bool { return b.State().Spec == a.State().Spec })
		a.Stop()
		b.Stop()
		time.Sleep(time.Minute)
		d.Start()
		setSpec(t, d, `{"description":"changed out of sight"}`)
		a.Start()
		b.Start()
		eventually(t, "c hears of it", func() bool { return state(t, d) == "removed" })
		setSpec(t, a, strings.Replace(list, "%", "", 1))
		c.Settle(5 * time.Minute)
		if got := standing(t, d); got.GetState() != "member" || got.GetReason() != "" {
			t.Errorf("c, which may read again, takes itself for %v", got)
		}
		for _, h := range []*hosttest.Host{a, b, d} {
			if got := spec(t, h).Description; got != "changed out of sight" {
				t.Errorf("%s has the description %q", h.Name(), got)
			}
		}
	})
}

// reference: sync-206 a join that expects somebody else than who answers asks nothing, and changes nothing.
func TestJoinExpectsSomebody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{})
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		var self string
		for self = range a.State().Members {
		}
		join := func(expect string) error {
			_, err := b.API().JoinSyncgroup(t.Context(), &nodev1.JoinSyncgroupRequest{
				Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Peer: a.Address(), Expect: expect,
			})
			return err
		}
		for _, wrong := range []string{"other.net/owner", self + "x", self + "/x"} {
			wantCode(t, "join at a, expecting "+wrong, join(wrong), codes.PermissionDenied)
		}
		wantMembers(t, "a", a)
		if err := join(self); err != nil {
			t.Error(err)
		}
		wantMembers(t, "a b", a)
	})
}
