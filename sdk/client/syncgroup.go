package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Syncgroup is a syncgroup by name: collections of one database that are shared between devices.
type Syncgroup struct {
	db   *Database
	name string
}

// Syncgroup names a syncgroup: "name" for one of the caller's own, "owner:name" for any.
func (d *Database) Syncgroup(name string) *Syncgroup { return &Syncgroup{db: d, name: name} }

// Name returns the name that was given.
func (s *Syncgroup) Name() string { return s.name }

// Syncgroups lists the syncgroups that this device is, or was, a member of, by full name; SyncgroupStandings tells which.
func (d *Database) Syncgroups(ctx context.Context) iter.Seq2[string, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListSyncgroupsResponse], error) {
		return d.c.api.ListSyncgroups(ctx, &nodev1.ListSyncgroupsRequest{Database: d.name})
	}, (*nodev1.ListSyncgroupsResponse).GetSyncgroup)
}

// Scope is a collection, narrowed to the keys that begin with Prefix.
type Scope struct {
	Collection, Prefix string
}

// SyncgroupOptions say what a new syncgroup is.
type SyncgroupOptions struct {
	// Scopes is what it shares; at least one.
	Scopes []Scope
	// MemberType of this device: normal (the default), server or leaf.
	MemberType  string
	Description string
	// Permissions with the tags Admin and Read; nil gives the owner both.
	Permissions Permissions
	// Publish names a peer (principal, name or "host:port") that is made a member as soon as it can be reached.
	Publish string
	// Private keeps blobs that its rows refer to from whoever is not a member.
	Private bool
	// Priority is shown with this device in the list of members; nothing depends on it yet.
	Priority uint32
}

// Create makes the syncgroup, with this device as its first member, and returns its full name.
func (s *Syncgroup) Create(ctx context.Context, opts SyncgroupOptions) (string, error) {
	list, err := opts.Permissions.encode()
	if err != nil {
		return "", err
	}
	req := &nodev1.CreateSyncgroupRequest{
		Database: s.db.name, Syncgroup: s.name, MemberType: opts.MemberType,
		Description: opts.Description, Permissions: list,
		Publish: opts.Publish, Private: opts.Private, Priority: opts.Priority,
	}
	for _, scope := range opts.Scopes {
		req.Collections = append(req.Collections, &nodev1.SyncgroupCollection{Collection: scope.Collection, Prefix: scope.Prefix})
	}
	resp, err := s.db.c.api.CreateSyncgroup(ctx, req)
	return resp.GetSyncgroup(), s.db.c.failure(err)
}

// JoinOptions say how to join. The zero value asks every peer that can be reached.
type JoinOptions struct {
	// Peer is the "host:port" or the name of the peer to ask.
	Peer string
	// MemberType of this device: normal, server or leaf. Empty leaves a member what it is and makes others normal.
	MemberType string
	// Expect is the principal that the admitting peer must be or belong to: nobody else is asked.
	Expect string
}

// Join makes this device a member and returns the full name and the peer that admitted it. The database is made if it is
// not there yet.
func (s *Syncgroup) Join(ctx context.Context, opts JoinOptions) (name, admittedBy string, err error) {
	resp, err := s.db.c.api.JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{
		Database: s.db.name, Syncgroup: s.name, Peer: opts.Peer, MemberType: opts.MemberType, Expect: opts.Expect,
	})
	return resp.GetSyncgroup(), resp.GetAdmittedBy(), s.db.c.failure(err)
}

// Member is a member of a syncgroup.
type Member struct {
	// Member is a principal without scheme.
	Member string    `json:"member"`
	Type   string    `json:"type"`
	Joined time.Time `json:"joined,omitzero"`
	// Priority is what the member gave when it created the syncgroup; nothing depends on it yet.
	Priority uint32 `json:"priority"`
}

// Members lists the members.
func (s *Syncgroup) Members(ctx context.Context) iter.Seq2[Member, error] {
	return list(ctx, s.db.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListMembersResponse], error) {
		return s.db.c.api.ListMembers(ctx, &nodev1.ListMembersRequest{Database: s.db.name, Syncgroup: s.name})
	}, func(m *nodev1.ListMembersResponse) Member {
		return Member{Member: m.GetMember(), Type: m.GetType(), Joined: timeOf(m.GetJoined()), Priority: m.GetPriority()}
	})
}

// Spec returns the specification as JSON and the version it has.
func (s *Syncgroup) Spec(ctx context.Context) (spec json.RawMessage, version string, err error) {
	resp, err := s.db.c.api.GetSyncgroupSpec(ctx, &nodev1.GetSyncgroupSpecRequest{Database: s.db.name, Syncgroup: s.name})
	return resp.GetSpec(), resp.GetVersion(), s.db.c.failure(err)
}

// Wait returns when this device holds everything that its reachable peers held at the time of the call, and how many
// they are.
func (s *Syncgroup) Wait(ctx context.Context) (peers uint64, err error) {
	resp, err := s.db.c.api.WaitSyncgroup(ctx, &nodev1.WaitSyncgroupRequest{Database: s.db.name, Syncgroup: s.name})
	return resp.GetPeers(), s.db.c.failure(err)
}
