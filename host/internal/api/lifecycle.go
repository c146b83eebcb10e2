package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

const (
	// maxSpecBytes bounds a changed specification.
	maxSpecBytes = 4 << 20
	// maxMemberName bounds the name of a member, in bytes.
	maxMemberName = 2048
)

// SyncgroupKeeper changes syncgroups that this device is a member of. Errors wrap ErrPrecondition when the syncgroup is
// not in a state for it.
type SyncgroupKeeper interface {
	// SetSpec replaces fields of the specification and returns its version. It wraps ErrConflict when the version given is
	// not the present one.
	SetSpec(ctx context.Context, caller id.Principal, db, sg id.Name, change []byte, version id.Version) (string, error)
	Leave(ctx context.Context, db, sg id.Name) error
	Destroy(ctx context.Context, caller id.Principal, db, sg id.Name) error
	// Eject and Allow take a principal or the last part of one, and return the principal.
	Eject(ctx context.Context, caller id.Principal, db, sg id.Name, member string) (id.Principal, error)
	Allow(ctx context.Context, db, sg id.Name, member string) (id.Principal, error)
}

// Inviter finds syncgroups that this device could join.
type Inviter interface {
	// Invitations asks the connected peers.
	Invitations(ctx context.Context) ([]Invitation, error)
	Decline(ctx context.Context, db, sg id.Name) error
}

// Invitation is a syncgroup that peers would admit this device to.
type Invitation struct {
	Database, Syncgroup id.Name
	Description         string
	Creator             id.Principal
	Peers               []id.Principal
	Declined            bool
}

// SetSyncgroupSpec takes Admin on the syncgroup.
func (s *Server) SetSyncgroupSpec(ctx context.Context, req *nodev1.SetSyncgroupSpecRequest) (*nodev1.SetSyncgroupSpecResponse, error) {
	t, name, _, err := s.openSyncgroup(ctx, req.GetDatabase(), req.GetSyncgroup(), perm.Admin)
	if err != nil {
		return nil, err
	}
	if n := len(req.GetSpec()); n == 0 || n > maxSpecBytes {
		return nil, fmt.Errorf("%w: a specification of %d bytes, want 1 to %d", ErrInvalid, n, maxSpecBytes)
	}
	given, err := id.ParseVersion(req.GetVersion())
	if err != nil {
		return nil, err
	}
	version, err := s.opts.Syncgroups.SetSpec(ctx, t.caller, t.db.Name(), name, req.GetSpec(), given)
	if err != nil {
		return nil, err
	}
	resp := &nodev1.SetSyncgroupSpecResponse{Version: version}
	if spec, err := s.opts.Syncgroups.Spec(ctx, t.db.Name(), name); err == nil {
		resp.Warnings = lockedOut(spec.Permissions, t.caller)
	}
	return resp, nil
}

// LeaveSyncgroup takes Write on the database.
func (s *Server) LeaveSyncgroup(ctx context.Context, req *nodev1.LeaveSyncgroupRequest) (*nodev1.LeaveSyncgroupResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Write)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetSyncgroup(), t.caller.Owner())
	if err != nil {
		return nil, err
	}
	sgs, err := s.syncgroups()
	if err == nil {
		err = sgs.Leave(ctx, t.db.Name(), name)
	}
	if err != nil {
		return nil, absentSyncgroup(name, err)
	}
	return &nodev1.LeaveSyncgroupResponse{}, nil
}

// absentSyncgroup gives the error about a syncgroup that is not here the words that hide whether it exists.
func absentSyncgroup(name id.Name, err error) error {
	if errors.Is(err, ErrNotFound) {
		return missing(ErrNotFound, id.Collection{Kind: id.Syncgroup, Name: name})
	}
	return err
}

// DestroySyncgroup takes Write on the database and Admin on the syncgroup.
func (s *Server) DestroySyncgroup(ctx context.Context, req *nodev1.DestroySyncgroupRequest) (*nodev1.DestroySyncgroupResponse, error) {
	if _, err := s.openFor(ctx, req.GetDatabase(), perm.Write); err != nil {
		return nil, err
	}
	t, name, _, err := s.openSyncgroup(ctx, req.GetDatabase(), req.GetSyncgroup(), perm.Admin)
	if err != nil {
		return nil, err
	}
	if err := s.opts.Syncgroups.Destroy(ctx, t.caller, t.db.Name(), name); err != nil {
		return nil, err
	}
	return &nodev1.DestroySyncgroupResponse{}, nil
}

// EjectMember takes Admin on the syncgroup.
func (s *Server) EjectMember(ctx context.Context, req *nodev1.EjectMemberRequest) (*nodev1.EjectMemberResponse, error) {
	t, name, err := s.openForMember(ctx, req.GetDatabase(), req.GetSyncgroup(), req.GetMember())
	if err != nil {
		return nil, err
	}
	member, err := s.opts.Syncgroups.Eject(ctx, t.caller, t.db.Name(), name, req.GetMember())
	if err != nil {
		return nil, err
	}
	return &nodev1.EjectMemberResponse{Member: string(member)}, nil
}

// AllowMember takes Admin on the syncgroup.
func (s *Server) AllowMember(ctx context.Context, req *nodev1.AllowMemberRequest) (*nodev1.AllowMemberResponse, error) {
	t, name, err := s.openForMember(ctx, req.GetDatabase(), req.GetSyncgroup(), req.GetMember())
	if err != nil {
		return nil, err
	}
	member, err := s.opts.Syncgroups.Allow(ctx, t.db.Name(), name, req.GetMember())
	if err != nil {
		return nil, err
	}
	return &nodev1.AllowMemberResponse{Member: string(member)}, nil
}

func (s *Server) openForMember(ctx context.Context, database, syncgroup, member string) (*target, id.Name, error) {
	t, name, _, err := s.openSyncgroup(ctx, database, syncgroup, perm.Admin)
	if err != nil {
		return nil, name, err
	}
	if n := len(member); n == 0 || n > maxMemberName {
		return nil, name, fmt.Errorf("%w: the name of a member of %d bytes, want 1 to %d", ErrInvalid, n, maxMemberName)
	}
	return t, name, nil
}

// ListInvitations takes Read on the database, the right to create it when it is not here, or Read on the service when none
// is named.
func (s *Server) ListInvitations(req *nodev1.ListInvitationsRequest, stream grpc.ServerStreamingServer[nodev1.ListInvitationsResponse]) error {
	ctx := stream.Context()
	only, err := s.databaseOfInvitations(ctx, req.GetDatabase())
	if err != nil {
		return err
	}
	sgs, err := s.syncgroups()
	if err != nil {
		return err
	}
	list, err := sgs.Invitations(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		if only != (id.Name{}) && i.Database != only || i.Declined && !req.GetDeclined() {
			continue
		}
		resp := &nodev1.ListInvitationsResponse{
			Database: i.Database.String(), Syncgroup: i.Syncgroup.String(), Description: i.Description,
			Creator: string(i.Creator), Declined: i.Declined,
		}
		for _, p := range i.Peers {
			resp.Peers = append(resp.Peers, string(p))
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// databaseOfInvitations returns the zero Name for all databases.
func (s *Server) databaseOfInvitations(ctx context.Context, database string) (id.Name, error) {
	if database == "" {
		_, err := s.service(ctx, perm.Read)
		return id.Name{}, err
	}
	t, err := s.openFor(ctx, database, perm.Read)
	if err == nil {
		return t.db.Name(), nil
	}
	if errors.Is(err, rows.ErrNoDatabase) {
		_, name, err := s.databaseToJoin(ctx, database)
		return name, err
	}
	return id.Name{}, err
}

// DeclineInvitation takes Write on the database, or the right to create it when it is not here.
func (s *Server) DeclineInvitation(ctx context.Context, req *nodev1.DeclineInvitationRequest) (*nodev1.DeclineInvitationResponse, error) {
	caller, db, err := s.databaseToJoin(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetSyncgroup(), caller.Owner())
	if err != nil {
		return nil, err
	}
	sgs, err := s.syncgroups()
	if err == nil {
		err = sgs.Decline(ctx, db, name)
	}
	if err != nil {
		return nil, err
	}
	return &nodev1.DeclineInvitationResponse{}, nil
}
