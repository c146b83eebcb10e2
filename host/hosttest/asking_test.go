package hosttest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// askAround joins a syncgroup without naming a peer, and returns who has admitted the host.
func askAround(t *testing.T, h *hosttest.Host, name string) (string, error) {
	t.Helper()
	resp, err := h.API().JoinSyncgroup(t.Context(), &nodev1.JoinSyncgroupRequest{Database: hosttest.Database, Syncgroup: name})
	return resp.GetAdmittedBy(), err
}

// reference: sync-097 who asks around for a syncgroup finds those who may admit to it, whoever that is now: of each syncgroup its
// own, one more when one has joined, one less when one is gone or has lost the right; and nobody for one that nobody has.
func TestWhoAdmitsToWhichSyncgroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "c", "d", "e"}})
		a, b, other := c.Host("a"), c.Host("b"), c.Host("c")
		a.Create()
		made, err := b.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: hosttest.Database})
		mustDo(t, made, err)
		coll, err := b.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
		mustDo(t, coll, err)
		b.CreateSyncgroup("two", "2")
		// join has a host ask, and expects one of others to admit it, or the code.
		join := func(h *hosttest.Host, name, by string, code codes.Code) {
			t.Helper()
			got, err := askAround(t, h, name)
			wantCode(t, h.Name()+" asks around for "+name, err, code)
			if got != by {
				t.Errorf("%s is admitted to %s by %q, want %q", h.Name(), name, got, by)
			}
		}
		join(other, hosttest.Syncgroup, "a", codes.OK)
		join(other, "two", "b", codes.OK)
		join(other, "three", "", codes.NotFound)
		other.Wait()

		// c admits to the one while its creator is away, and not to the other, where the right was taken from it.
		out, in := memberNamed(t, a, "c"), spec(t, a).Permissions["Admin"].In[0]
		set, err := b.API().SetSyncgroupSpec(t.Context(), &nodev1.SetSyncgroupSpecRequest{
			Database: hosttest.Database, Syncgroup: "two",
			Spec: fmt.Appendf(nil, `{"permissions":{"Admin":{"in":[%q],"not_in":[%q]},"Read":{"in":[%q]}}}`, in, out, in),
		})
		mustDo(t, set, err)
		eventually(t, "c knows", func() bool {
			resp, err := other.API().GetSyncgroupSpec(t.Context(), &nodev1.GetSyncgroupSpecRequest{Database: hosttest.Database, Syncgroup: "two"})
			mustDo(t, resp, err)
			return strings.Contains(string(resp.GetSpec()), out)
		})
		a.Stop()
		join(c.Host("d"), hosttest.Syncgroup, "c", codes.OK)
		c.Host("d").Wait()
		b.Stop()
		join(c.Host("e"), "two", "", codes.PermissionDenied)
		join(c.Host("e"), "three", "", codes.NotFound)

		// c is gone, and d has what it takes for the one alone.
		leave(t, other)
		eventually(t, "d knows", func() bool { return members(c.Host("d")) == "a d" })
		other.Stop()
		join(c.Host("e"), "two", "", codes.NotFound)
		join(c.Host("e"), hosttest.Syncgroup, "d", codes.OK)
	})
}
