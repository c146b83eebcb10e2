package hosttest

import (
	"fmt"
	"maps"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Compare says in what two hosts differ as their owner sees them: databases, collections, the access lists of both, and rows,
// with their versions. It is empty when they are equal.
func Compare(one, other *Host) string {
	one.c.t.Helper()
	diff := cmp.Diff(one.whole(), other.whole())
	if diff == "" {
		return ""
	}
	return fmt.Sprintf("(-%s +%s):\n%s", one.name, other.name, diff)
}

// whole is everything on the host by what it is and what it is called.
func (h *Host) whole() map[string]string {
	h.c.t.Helper()
	all := map[string]string{}
	databases, err := collect(h.API().ListDatabases(h.ctx(), &nodev1.ListDatabasesRequest{}))
	h.must(databases, err)
	for _, db := range databases {
		name := db.GetDatabase()
		all["database "+name] = h.list(name, "")
		collections, err := collect(h.API().ListCollections(h.ctx(), &nodev1.ListCollectionsRequest{Database: name}))
		h.must(collections, err)
		for _, coll := range collections {
			all["collection "+name+" "+coll.GetCollection()] = h.list(name, coll.GetCollection())
			maps.Copy(all, h.rowsOf(name, coll.GetCollection()))
		}
	}
	return all
}

// list returns an access list.
func (h *Host) list(database, collection string) string {
	h.c.t.Helper()
	perms, err := h.API().GetPermissions(h.ctx(), &nodev1.GetPermissionsRequest{Database: database, Collection: collection})
	h.must(perms, err)
	return string(perms.GetPermissions())
}

func (h *Host) rowsOf(database, collection string) map[string]string {
	h.c.t.Helper()
	rows := map[string]string{}
	list, err := collect(h.API().Scan(h.ctx(), &nodev1.ScanRequest{Database: database, Collection: collection}))
	h.must(list, err)
	for _, m := range list {
		for _, row := range m.GetRows() {
			rows["row "+database+" "+collection+" "+row.GetKey()] = row.GetVersion() + " " + string(row.GetValue())
		}
	}
	return rows
}
