package client

import (
	"context"
	"encoding/json"
	"iter"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// SetSpec replaces the fields of the specification that the JSON object names (description, permissions, publish, private)
// and returns the new version. With a version it fails with ErrConflict when that is not the present one. The collections
// of a syncgroup never change.
func (s *Syncgroup) SetSpec(ctx context.Context, change json.RawMessage, version string) (string, error) {
	resp, err := s.db.c.api.SetSyncgroupSpec(ctx, &nodev1.SetSyncgroupSpecRequest{
		Database: s.db.name, Syncgroup: s.name, Spec: change, Version: version,
	})
	return resp.GetVersion(), s.db.c.failure(err)
}

// Leave ends the membership of this device. Its data stays, read-only where no other syncgroup shares it.
func (s *Syncgroup) Leave(ctx context.Context) error {
	_, err := s.db.c.api.LeaveSyncgroup(ctx, &nodev1.LeaveSyncgroupRequest{Database: s.db.name, Syncgroup: s.name})
	return s.db.c.failure(err)
}

// Destroy ends the syncgroup for every member. Their data stays, read-only where no other syncgroup shares it.
func (s *Syncgroup) Destroy(ctx context.Context) error {
	_, err := s.db.c.api.DestroySyncgroup(ctx, &nodev1.DestroySyncgroupRequest{Database: s.db.name, Syncgroup: s.name})
	return s.db.c.failure(err)
}

// Eject ends the membership of another device, given by its principal or the last part of that, and returns the principal.
// It cannot join again until Allow.
func (s *Syncgroup) Eject(ctx context.Context, member string) (string, error) {
	resp, err := s.db.c.api.EjectMember(ctx, &nodev1.EjectMemberRequest{Database: s.db.name, Syncgroup: s.name, Member: member})
	return resp.GetMember(), s.db.c.failure(err)
}

// Allow lets a device that was ejected join again; it does not make it a member.
func (s *Syncgroup) Allow(ctx context.Context, member string) (string, error) {
	resp, err := s.db.c.api.AllowMember(ctx, &nodev1.AllowMemberRequest{Database: s.db.name, Syncgroup: s.name, Member: member})
	return resp.GetMember(), s.db.c.failure(err)
}

// SyncgroupStanding is a syncgroup that this device is, or was, a member of.
type SyncgroupStanding struct {
	// Name in full.
	Name string
	// State is member, pending (let in, the metadata is on its way), removed (not on the access list any more), left,
	// ejected or destroyed.
	State string
	// Publish is pending or published, empty when nobody asked for it; PublishError is why this device failed at it last.
	Publish, PublishError string
	// Reason says why this device is no member any more, who says so and since when; empty for members.
	Reason string
}

// SyncgroupStandings lists the syncgroups that this device is, or was, a member of.
func (d *Database) SyncgroupStandings(ctx context.Context) iter.Seq2[SyncgroupStanding, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListSyncgroupsResponse], error) {
		return d.c.api.ListSyncgroups(ctx, &nodev1.ListSyncgroupsRequest{Database: d.name})
	}, func(m *nodev1.ListSyncgroupsResponse) SyncgroupStanding {
		return SyncgroupStanding{Name: m.GetSyncgroup(), State: m.GetState(), Publish: m.GetPublish(), PublishError: m.GetPublishError(), Reason: m.GetReason()}
	})
}

// Invitation is a syncgroup that connected peers would admit this device to.
type Invitation struct {
	Database    string   `json:"database"`
	Syncgroup   string   `json:"syncgroup"`
	Description string   `json:"description"`
	Creator     string   `json:"creator"`
	Peers       []string `json:"peers"`
	Declined    bool     `json:"declined"`
}

// InvitationOptions say which invitations to list. The zero value lists those that were not declined, in any database.
type InvitationOptions struct {
	Database string
	// Declined lists also those that were declined.
	Declined bool
}

// Invitations asks the connected peers for syncgroups that this device could join. To accept one is to join it.
func (c *Client) Invitations(ctx context.Context, opts InvitationOptions) iter.Seq2[Invitation, error] {
	return list(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListInvitationsResponse], error) {
		return c.api.ListInvitations(ctx, &nodev1.ListInvitationsRequest{Database: opts.Database, Declined: opts.Declined})
	}, func(m *nodev1.ListInvitationsResponse) Invitation {
		return Invitation{
			Database: m.GetDatabase(), Syncgroup: m.GetSyncgroup(), Description: m.GetDescription(), Creator: m.GetCreator(),
			Peers: m.GetPeers(), Declined: m.GetDeclined(),
		}
	})
}

// Decline keeps the syncgroup out of the list of invitations. It can be joined all the same, which ends that.
func (s *Syncgroup) Decline(ctx context.Context) error {
	_, err := s.db.c.api.DeclineInvitation(ctx, &nodev1.DeclineInvitationRequest{Database: s.db.name, Syncgroup: s.name})
	return s.db.c.failure(err)
}
