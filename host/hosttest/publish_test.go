package hosttest_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// publishAt makes the database, the collection and a syncgroup to be published at a host.
func publishAt(t *testing.T, h, at *hosttest.Host) {
	t.Helper()
	db, err := h.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: hosttest.Database})
	mustDo(t, db, err)
	coll, err := h.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
	mustDo(t, coll, err)
	sg, err := h.API().CreateSyncgroup(t.Context(), &nodev1.CreateSyncgroupRequest{
		Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Publish: at.Address(),
		Collections: []*nodev1.SyncgroupCollection{{Collection: hosttest.Collection}},
	})
	mustDo(t, sg, err)
}

// reference: sync-196 a syncgroup whose target is down when it is created is published when the target comes up, and also
// after a restart of the daemon that has to publish it. The published copy lets others in when the creator is gone.
func TestPublishingWaitsForItsTarget(t *testing.T) {
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := hosttest.New(t, hosttest.Options{
				Hosts: []string{"a", "server", "c"},
				Knows: func(host, other string) bool { return host == "c" && other == "server" },
			})
			a, server, phone := c.Host("a"), c.Host("server"), c.Host("c")
			server.Stop()
			publishAt(t, a, server)
			a.Commit(hosttest.Put("k", `1`))
			time.Sleep(time.Hour)
			if got := standing(t, a); got.GetPublish() != "pending" || got.GetPublishError() == "" {
				t.Errorf("while the server is down: %v", got)
			}
			if restart {
				a.Stop()
				a.Start()
			}
			server.Start()
			eventually(t, "the server takes part", func() bool { return server.State().Rows["k"] != "" && standing(t, a).GetPublish() == "published" })
			if got := standing(t, a); got.GetPublishError() != "" {
				t.Errorf("after publishing: %v", got)
			}
			server.Wait()
			a.Stop()
			phone.Join(server)
			phone.Wait()
			if got := phone.Rows()["k"]; got != `1` {
				t.Errorf("c, which joined at the server, has %q", got)
			}
			if got := phone.State().Members; len(got) != 3 {
				t.Errorf("members %v", got)
			}
		})
	}
}

// reference: sync-197 two administrators publish at the same time: the target is a member once, and both take it for
// published.
func TestTwoPublishersAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "server"}})
		a, b, server := c.Host("a"), c.Host("b"), c.Host("server")
		a.Create()
		b.Join(a)
		b.Wait()
		c.Partition([]string{"a"}, []string{"b"})
		c.Partition([]string{"server"}, []string{"a", "b"})
		for _, h := range []*hosttest.Host{a, b} {
			setSpec(t, h, fmt.Sprintf(`{"publish":%q}`, server.Address()))
		}
		time.Sleep(time.Minute)
		c.Heal()
		eventually(t, "both take it for published", func() bool {
			return standing(t, a).GetPublish() == "published" && standing(t, b).GetPublish() == "published" && state(t, server) == "member"
		})
		c.Settle(5 * time.Minute)
		wantMembers(t, "a b server", a, b, server)
	})
}

// reference: sync-205 who may not create databases on a daemon publishes nothing there, and who may learns nothing of what
// is there already.
func TestStrangersPublishNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "server"}})
		a, server := c.Host("a"), c.Host("server")
		self, err := server.API().ShowIdentity(t.Context(), &nodev1.ShowIdentityRequest{})
		mustDo(t, self, err)
		permit := func(write string) {
			only := fmt.Sprintf(`{"in":["%s/$"]}`, self.GetOwner())
			resp, err := server.API().SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{
				Permissions: fmt.Appendf(nil, `{"Admin":%s,"Read":%s,"Write":{"in":[%q]}}`, only, only, write),
			})
			mustDo(t, resp, err)
		}
		permit(self.GetOwner() + "/$")
		publishAt(t, a, server)
		time.Sleep(time.Hour)
		if got := standing(t, a); got.GetPublish() != "pending" || !strings.HasPrefix(got.GetPublishError(), "server does not take it: publishing here: ") ||
			strings.Contains(got.GetPublishError(), "rpc error") {
			t.Errorf("published by a stranger: %v", got)
		}
		if _, err := server.API().GetDatabase(t.Context(), &nodev1.GetDatabaseRequest{Database: hosttest.Database}); err == nil {
			t.Error("the stranger has made a database")
		}
		wantMembers(t, "a", a)

		permit(self.GetOwner())
		// A database of that name, which the publisher may not write, with something to steal in it.
		db, err := server.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{
			Database: hosttest.Database, Permissions: fmt.Appendf(nil, `{"Admin":{"in":["%[1]s/$"]},"Write":{"in":["%[1]s/$"]}}`, self.GetOwner()),
		})
		mustDo(t, db, err)
		coll, err := server.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
		mustDo(t, coll, err)
		server.Commit(hosttest.Put("secret", `1`))
		time.Sleep(time.Hour)
		if got := a.Rows(); len(got) != 0 || standing(t, a).GetPublish() != "pending" {
			t.Errorf("publishing over a database of somebody else's: %v, a has %v", standing(t, a), got)
		}
	})
}

// invitations are the syncgroups that a host lists.
func invitations(t *testing.T, h *hosttest.Host, req *nodev1.ListInvitationsRequest) []string {
	t.Helper()
	stream, err := h.API().ListInvitations(t.Context(), req)
	mustDo(t, stream, err)
	var list []string
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		name := m.GetSyncgroup()[strings.LastIndex(m.GetSyncgroup(), ":")+1:]
		if len(m.GetPeers()) == 0 || !strings.HasSuffix(m.GetDatabase(), ":"+cmp.Or(req.GetDatabase(), hosttest.Database)) {
			t.Errorf("incomplete invitation %v", m)
		}
		if m.GetDeclined() {
			name += " (declined)"
		}
		list = append(list, name)
	}
}

// reference: sync-101 a device hears of just those syncgroups that it may join; another reader on the access list hears of
// one at once, and one that was taken off it no more.
//
// reference: sync-103 invitations are listed for each database, several syncgroups in order, until they are accepted or
// declined.
func TestInvitations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, three)
		a, b := c.Host("a"), c.Host("b")
		a.Create()
		a.CreateSyncgroup("other", "x")
		a.CreateSyncgroup("closed", "y")
		var self string
		for self = range a.State().Members {
		}
		owner := self[:strings.Index(self, "/device")]
		open := fmt.Sprintf(`{"Admin":{"in":[%[1]q]},"Read":{"in":[%[1]q]}}`, owner)
		list := fmt.Sprintf(`{"Admin":{"in":[%[1]q,%[2]q]},"Read":{"in":[%[1]q,%[2]q]}}`, owner+"/$", self)
		closed := func(permissions string) {
			resp, err := a.API().SetSyncgroupSpec(t.Context(), &nodev1.SetSyncgroupSpecRequest{
				Database: hosttest.Database, Syncgroup: "closed", Spec: []byte(`{"permissions":` + permissions + `}`),
			})
			mustDo(t, resp, err)
		}
		closed(list)
		eventually(t, "the hosts meet", func() bool { return len(invitations(t, b, &nodev1.ListInvitationsRequest{})) > 0 })
		want := func(what string, req *nodev1.ListInvitationsRequest, want ...string) {
			t.Helper()
			if got := invitations(t, b, req); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		any, here := &nodev1.ListInvitationsRequest{}, &nodev1.ListInvitationsRequest{Database: hosttest.Database}
		want("at first", any, "other", "sg")
		want("of a database that is not here", here, "other", "sg")
		want("of another database", &nodev1.ListInvitationsRequest{Database: "another"})
		resp, err := b.API().DeclineInvitation(t.Context(), &nodev1.DeclineInvitationRequest{Database: hosttest.Database, Syncgroup: "other"})
		mustDo(t, resp, err)
		want("after declining one", here, "sg")
		want("declined ones, too", &nodev1.ListInvitationsRequest{Declined: true}, "other (declined)", "sg")
		b.Stop()
		b.Start()
		eventually(t, "the hosts meet again", func() bool { return len(invitations(t, b, any)) > 0 })
		want("after a restart", here, "sg")
		b.Join(a)
		b.Wait()
		want("after accepting one", here)
		b.JoinSyncgroup("other", a)
		leave(t, b)
		eventually(t, "a hears of it", func() bool { return members(a) == "a" })
		want("after leaving", here, "sg")
		closed(open)
		want("after another list", here, "closed", "sg")
		closed(list)
		want("after the list as it was", here, "sg")
		b.Join(a)
		b.Wait()
		eject(t, a, "b")
		want("after being ejected", here)
		// Those of another database come under that one alone.
		second := &nodev1.ListInvitationsRequest{Database: "second"}
		made, err := a.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: "second"})
		mustDo(t, made, err)
		coll, err := a.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: "second", Collection: hosttest.Collection})
		mustDo(t, coll, err)
		for _, name := range []string{"y", "x"} {
			sg, err := a.API().CreateSyncgroup(t.Context(), &nodev1.CreateSyncgroupRequest{
				Database: "second", Syncgroup: name, Collections: []*nodev1.SyncgroupCollection{{Collection: hosttest.Collection}},
			})
			mustDo(t, sg, err)
		}
		eventually(t, "b is invited to the second database", func() bool { return len(invitations(t, b, second)) == 2 })
		want("of the second database", second, "x", "y")
		want("of the first database", here)
		_, err = b.API().DeclineInvitation(t.Context(), &nodev1.DeclineInvitationRequest{Database: "x\x00", Syncgroup: "other"})
		wantCode(t, "decline nonsense", err, codes.InvalidArgument)
	})
}
