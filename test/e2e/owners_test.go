package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTwoOwners lets two people share: each trusts the other's authority, the syncgroup lets the other read, and the
// collection's access list decides what that is worth.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a, b := n.start("a"), n.start("b")
	owner := func(d *daemon) string {
		who, _, _ := strings.Cut(d.status().Principal, "/device/")
		return who
	}
	alice, bob := owner(a), owner(b)
	a.run("identity", "trust", n.path("b", "identity", "ca.pem"))
	b.run("identity", "trust", n.path("a", "identity", "ca.pem"))
	a.run("db", "create", "places")
	a.run("collection", "create", "places", "cities")
	a.run("put", "places", "cities", "rome", "1")
	spec := n.file("spec.json", fmt.Sprintf(`{"permissions": {"Admin": {"in": [%q]}, "Read": {"in": [%q, %q]}}}`, alice, alice, bob))
	a.run("syncgroup", "create", "places", "all", "--collection", "cities", "--spec", spec)

	// The same names with their owner.
	database, collection, group := alice+":places", alice+":cities", alice+":all"
	b.run("syncgroup", "join", database, group, "--peer", a.address())
	b.run("syncgroup", "wait", database, group, "--timeout", "30s")
	b.try("get", database, collection, "rome").refused(t, 1, "no access")
	b.try("put", database, collection, "oslo", "2").refused(t, 1, "no access")

	a.run("collection", "perms", "places", "cities", "--set",
		fmt.Sprintf(`{"Admin": {"in": [%q]}, "Read": {"in": [%q, %q]}, "Write": {"in": [%q, %q]}}`, alice, alice, bob, alice, bob))
	until(t, "b may read", 30*time.Second, func() (bool, string) {
		r := b.try("get", database, collection, "rome")
		return r.code == 0, r.String()
	})
	b.run("put", database, collection, "oslo", "2")
	until(t, "a has what b wrote", 30*time.Second, func() (bool, string) {
		r := a.try("get", "places", "cities", "oslo")
		return r.code == 0, r.String()
	})

	// Bob's own names are another matter, to both.
	b.run("db", "create", "places")
	b.try("get", "places", "cities", "rome").refused(t, 3)
	a.try("get", bob+":places", "cities", "rome").refused(t, 3)
}
