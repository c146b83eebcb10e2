package hosttest

import (
	"context"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Create makes the database, the collection and the syncgroup that shares the whole collection.
func (h *Host) Create() {
	h.c.t.Helper()
	h.must(h.API().CreateDatabase(h.ctx(), &nodev1.CreateDatabaseRequest{Database: Database}))
	h.must(h.API().CreateCollection(h.ctx(), &nodev1.CreateCollectionRequest{Database: Database, Collection: Collection}))
	h.CreateSyncgroup(Syncgroup, "")
}

// CreateSyncgroup shares the rows of the collection whose keys begin with the prefix.
func (h *Host) CreateSyncgroup(name, prefix string) {
	h.c.t.Helper()
	h.must(h.API().CreateSyncgroup(h.ctx(), &nodev1.CreateSyncgroupRequest{
		Database: Database, Syncgroup: name,
		Collections: []*nodev1.SyncgroupCollection{{Collection: Collection, Prefix: prefix}},
	}))
}

// Join joins the syncgroup at another host.
func (h *Host) Join(at *Host) {
	h.c.t.Helper()
	h.JoinSyncgroup(Syncgroup, at)
}

// JoinSyncgroup joins a syncgroup by name at another host.
func (h *Host) JoinSyncgroup(name string, at *Host) {
	h.c.t.Helper()
	h.must(nil, h.TryJoin(h.ctx(), name, at))
}

// TryJoin is JoinSyncgroup where failing is part of the test.
func (h *Host) TryJoin(ctx context.Context, name string, at *Host) error {
	_, err := h.API().JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: Database, Syncgroup: name, Peer: at.Address()})
	return err
}

// Put returns the operation that writes a row; the value is JSON.
func Put(key, value string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: Collection, Key: key, Value: []byte(value)}}}
}

// Delete returns the operation that removes a row.
func Delete(key string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Delete{Delete: &nodev1.Delete{Collection: Collection, Key: key}}}
}

// Commit applies the operations as one batch and returns their versions.
func (h *Host) Commit(ops ...*nodev1.Op) []string {
	h.c.t.Helper()
	versions, err := h.TryCommit(h.ctx(), ops...)
	h.must(versions, err)
	return versions
}

// TryCommit is Commit where failing is part of the test.
func (h *Host) TryCommit(ctx context.Context, ops ...*nodev1.Op) ([]string, error) {
	resp, err := h.API().Commit(ctx, &nodev1.CommitRequest{Database: Database, Ops: ops})
	return resp.GetVersions(), err
}

// Wait returns when the daemon holds what every member that it can reach held at the time of the call.
func (h *Host) Wait() {
	h.c.t.Helper()
	h.must(h.API().WaitSyncgroup(h.ctx(), &nodev1.WaitSyncgroupRequest{Database: Database, Syncgroup: Syncgroup}))
}

// Rows returns the rows of the collection by key.
func (h *Host) Rows() map[string]string {
	h.c.t.Helper()
	rows := map[string]string{}
	list, err := collect(h.API().Scan(h.ctx(), &nodev1.ScanRequest{Database: Database, Collection: Collection}))
	h.must(list, err)
	for _, m := range list {
		for _, row := range m.GetRows() {
			rows[row.GetKey()] = string(row.GetValue())
		}
	}
	return rows
}

// History returns the version graph of a row.
func (h *Host) History(key string) *nodev1.HistoryResponse {
	h.c.t.Helper()
	resp, err := h.API().History(h.ctx(), &nodev1.HistoryRequest{Database: Database, Collection: Collection, Key: key})
	h.must(resp, err)
	return resp
}

// State is everything that has to be the same on all members of the syncgroup.
type State struct {
	// Rows are values and versions by key.
	Rows map[string]string
	// Permissions of the collection, with their version.
	Permissions string
	// Spec of the syncgroup, with its version.
	Spec string
	// Members are types by principal.
	Members map[string]string
}

// State returns the state, empty while the daemon has not got the collection yet.
func (h *Host) State() State {
	h.c.t.Helper()
	s := State{Rows: map[string]string{}, Members: map[string]string{}}
	perms, err := h.API().GetPermissions(h.ctx(), &nodev1.GetPermissionsRequest{Database: Database, Collection: Collection})
	if err != nil {
		return s
	}
	s.Permissions = perms.GetVersion() + " " + string(perms.GetPermissions())
	rows, err := collect(h.API().Scan(h.ctx(), &nodev1.ScanRequest{Database: Database, Collection: Collection}))
	h.must(rows, err)
	for _, m := range rows {
		for _, row := range m.GetRows() {
			s.Rows[row.GetKey()] = row.GetVersion() + " " + string(row.GetValue())
		}
	}
	spec, err := h.API().GetSyncgroupSpec(h.ctx(), &nodev1.GetSyncgroupSpecRequest{Database: Database, Syncgroup: Syncgroup})
	h.must(spec, err)
	s.Spec = spec.GetVersion() + " " + string(spec.GetSpec())
	members, err := collect(h.API().ListMembers(h.ctx(), &nodev1.ListMembersRequest{Database: Database, Syncgroup: Syncgroup}))
	h.must(members, err)
	for _, m := range members {
		s.Members[m.GetMember()] = m.GetType()
	}
	return s
}

// lag returns how many records each peer holds that this daemon lacks, for those of which it lacks any.
func (h *Host) lag() map[string]uint64 {
	h.c.t.Helper()
	status, err := h.API().Status(h.ctx(), &nodev1.StatusRequest{})
	h.must(status, err)
	lag := map[string]uint64{}
	for _, p := range status.GetPeers() {
		if n := p.GetLagRecords(); n > 0 {
			lag[p.GetName()] = n
		}
	}
	return lag
}
