package hosttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// reference: sync-177a comparing whole hosts finds rows that differ or are on one alone, and so databases, collections and the
// access lists of both, and nothing between equal hosts.
func TestCompareFindsEveryDifference(t *testing.T) {
	perms := func(t *testing.T, h *hosttest.Host, collection string) {
		t.Helper()
		now, err := h.API().GetPermissions(t.Context(), &nodev1.GetPermissionsRequest{Database: hosttest.Database, Collection: collection})
		mustDo(t, now, err)
		text := strings.Replace(string(now.GetPermissions()), `"in":[`, `"in":["example.org/guest",`, 1)
		resp, err := h.API().SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{
			Database: hosttest.Database, Collection: collection, Permissions: []byte(text),
		})
		mustDo(t, resp, err)
	}
	for name, tc := range map[string]struct {
		// want is in what is said of the difference; empty for no difference.
		want   string
		change func(t *testing.T, h *hosttest.Host)
	}{
		"nothing": {"", func(*testing.T, *hosttest.Host) {}},
		"a row":   {"notes k", func(_ *testing.T, h *hosttest.Host) { h.Commit(hosttest.Put("k", `2`)) }},
		"one more row": {"notes extra", func(_ *testing.T, h *hosttest.Host) {
			h.Commit(hosttest.Put("extra", `1`))
		}},
		"collection": {`"collection `, func(t *testing.T, h *hosttest.Host) {
			resp, err := h.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: "more"})
			mustDo(t, resp, err)
		}},
		"database": {`"database `, func(t *testing.T, h *hosttest.Host) {
			resp, err := h.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: "more"})
			mustDo(t, resp, err)
		}},
		"access list of a database":   {"guest", func(t *testing.T, h *hosttest.Host) { perms(t, h, "") }},
		"access list of a collection": {"guest", func(t *testing.T, h *hosttest.Host) { perms(t, h, hosttest.Collection) }},
	} {
		t.Run(name, func(t *testing.T) {
			shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
				a, b := c.Host("a"), c.Host("b")
				a.Commit(hosttest.Put("k", `1`))
				c.Settle(time.Minute)
				if diff := hosttest.Compare(a, b); diff != "" {
					t.Fatalf("equal hosts differ %s", diff)
				}
				c.Partition([]string{"a"}, []string{"b"})
				tc.change(t, b)
				if diff := hosttest.Compare(a, b); (diff == "") != (tc.want == "") || !strings.Contains(diff, tc.want) {
					t.Errorf("the difference, which should name %q, is %q", tc.want, diff)
				}
				c.Heal()
				synctest.Wait()
			})
		})
	}
}
