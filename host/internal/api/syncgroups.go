package api

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

const (
	// maxScopes bounds the scopes of a syncgroup.
	maxScopes = 1000
	// maxDescription bounds the description of a syncgroup, in bytes.
	maxDescription = 4096
	// maxPeerName bounds the address or name of a peer, in bytes.
	maxPeerName = 1024
)

var memberTypes = []string{"normal", "server", "leaf"}

// memberType reads the type of a member; "" is normal.
func memberType(text string) (string, error) {
	if text == "" {
		return memberTypes[0], nil
	}
	if !slices.Contains(memberTypes, text) {
		return "", fmt.Errorf("%w: member type %q, want one of %v", ErrInvalid, text, memberTypes)
	}
	return text, nil
}

func (s *Server) syncgroups() (Syncgroups, error) {
	if s.opts.Syncgroups == nil {
		return nil, fmt.Errorf("%w: this daemon has no syncgroups", ErrPrecondition)
	}
	return s.opts.Syncgroups, nil
}

// CreateSyncgroup takes Write on the database, Read on every collection, and a name that is the caller's to give.
func (s *Server) CreateSyncgroup(ctx context.Context, req *nodev1.CreateSyncgroupRequest) (*nodev1.CreateSyncgroupResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Write)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetSyncgroup(), t.caller.Owner())
	if err != nil {
		return nil, err
	}
	if err := acl.Create(t.caller, name); err != nil {
		return nil, err
	}
	spec := NewSyncgroup{Description: req.GetDescription()}
	if len(spec.Description) > maxDescription {
		return nil, fmt.Errorf("%w: a description of %d bytes, the limit is %d", ErrInvalid, len(spec.Description), maxDescription)
	}
	if spec.Scopes, err = t.scopes(req.GetCollections()); err != nil {
		return nil, err
	}
	if spec.MemberType, err = memberType(req.GetMemberType()); err != nil {
		return nil, err
	}
	if spec.Permissions, err = permissions(req.GetPermissions(), name.Owner, perm.SyncgroupTags); err != nil {
		return nil, err
	}
	if !spec.Permissions.Allows(t.caller, perm.Read) {
		return nil, fmt.Errorf("%w: the access list does not give Read to %s, who creates the syncgroup", ErrInvalid, t.caller)
	}
	if spec.Publish = req.GetPublish(); len(spec.Publish) > maxPeerName {
		return nil, fmt.Errorf("%w: a peer of %d bytes to publish at, the limit is %d", ErrInvalid, len(spec.Publish), maxPeerName)
	}
	spec.Private, spec.Priority = req.GetPrivate(), req.GetPriority()
	sgs, err := s.syncgroups()
	if err != nil {
		return nil, err
	}
	if err := sgs.Create(ctx, t.caller, t.db.Name(), name, spec); err != nil {
		return nil, err
	}
	return &nodev1.CreateSyncgroupResponse{Syncgroup: name.String()}, nil
}

func (t *target) scopes(list []*nodev1.SyncgroupCollection) ([]id.Scope, error) {
	if len(list) == 0 || len(list) > maxScopes {
		return nil, fmt.Errorf("%w: a syncgroup over %d collections, want 1 to %d", ErrInvalid, len(list), maxScopes)
	}
	scopes := make([]id.Scope, 0, len(list))
	for _, entry := range list {
		c, err := t.name(entry.GetCollection())
		if err != nil {
			return nil, err
		}
		if err := t.check(c, perm.Read); err != nil {
			return nil, err
		}
		scope := id.Scope{Collection: c, Prefix: entry.GetPrefix()}
		if err := scope.Validate(); err != nil {
			return nil, err
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

// JoinSyncgroup takes Write on the database. One that is not here yet is made, if the caller may, and unmade if the join
// fails.
func (s *Server) JoinSyncgroup(ctx context.Context, req *nodev1.JoinSyncgroupRequest) (*nodev1.JoinSyncgroupResponse, error) {
	// None given leaves the type of a member as it is.
	kind := req.GetMemberType()
	if kind != "" && !slices.Contains(memberTypes, kind) {
		return nil, fmt.Errorf("%w: member type %q, want one of %v", ErrInvalid, kind, memberTypes)
	}
	if len(req.GetPeer()) > maxPeerName {
		return nil, fmt.Errorf("%w: a peer of %d bytes, the limit is %d", ErrInvalid, len(req.GetPeer()), maxPeerName)
	}
	sgs, err := s.syncgroups()
	if err != nil {
		return nil, err
	}
	caller, db, err := s.databaseToJoin(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetSyncgroup(), caller.Owner())
	if err != nil {
		return nil, err
	}
	how := Join{Peer: req.GetPeer(), MemberType: kind, Expect: id.Principal(req.GetExpect())}
	if how.Expect != "" {
		if err := how.Expect.Validate(); err != nil {
			return nil, err
		}
	}
	if err := s.mayJoinHere(ctx, sgs, caller, db, name); err != nil {
		return nil, err
	}
	admittedBy, err := sgs.Join(ctx, caller, db, name, how)
	if err != nil {
		return nil, err
	}
	return &nodev1.JoinSyncgroupResponse{Syncgroup: name.String(), AdmittedBy: admittedBy}, nil
}

// mayJoinHere decides whether the caller may join a syncgroup that this device knows already: the peer that admits the
// device does not see who asks.
func (s *Server) mayJoinHere(ctx context.Context, sgs Syncgroups, caller id.Principal, db, name id.Name) error {
	spec, err := sgs.Spec(ctx, db, name)
	if errors.Is(err, ErrNotFound) || errors.Is(err, rows.ErrNoDatabase) {
		return nil
	}
	if err == nil && !spec.Permissions.Allows(caller, perm.Read) {
		err = fmt.Errorf("%w: %s may not join %s, which takes the tag Read on the syncgroup", acl.ErrNoAccess, caller, name)
	}
	return err
}

// databaseToJoin names the database that a syncgroup is joined in: one on which the caller has Write, or one that is not
// here and that the caller might create. Whoever admits this device decides whether it is made.
func (s *Server) databaseToJoin(ctx context.Context, database string) (id.Principal, id.Name, error) {
	t, err := s.openFor(ctx, database, perm.Write)
	if err == nil {
		return t.caller, t.db.Name(), nil
	}
	if !errors.Is(err, rows.ErrNoDatabase) {
		return "", id.Name{}, err
	}
	caller, callerErr := s.caller(ctx)
	if callerErr != nil {
		return "", id.Name{}, callerErr
	}
	name, nameErr := id.ParseName(database, caller.Owner())
	if nameErr != nil || s.mayCreate(caller, name) != nil {
		return "", id.Name{}, err
	}
	return caller, name, nil
}

// ListSyncgroups takes Read on the database.
func (s *Server) ListSyncgroups(req *nodev1.ListSyncgroupsRequest, stream grpc.ServerStreamingServer[nodev1.ListSyncgroupsResponse]) error {
	t, err := s.openFor(stream.Context(), req.GetDatabase(), perm.Read)
	if err != nil {
		return err
	}
	sgs, err := s.syncgroups()
	if err != nil {
		return err
	}
	states, err := sgs.States(stream.Context())
	if err != nil {
		return err
	}
	for _, state := range states {
		if state.Database != t.db.Name() {
			continue
		}
		resp := &nodev1.ListSyncgroupsResponse{
			Syncgroup: state.Name.String(), State: state.State, Publish: state.Publish, PublishError: state.PublishError, Reason: state.Reason,
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// openSyncgroup finds a syncgroup on which the caller has the tag.
func (s *Server) openSyncgroup(ctx context.Context, database, syncgroup string, tag perm.Tag) (*target, id.Name, SyncgroupSpec, error) {
	t, err := s.open(ctx, database)
	if err != nil {
		return nil, id.Name{}, SyncgroupSpec{}, err
	}
	name, err := id.ParseName(syncgroup, t.caller.Owner())
	if err != nil {
		return nil, name, SyncgroupSpec{}, err
	}
	sgs, err := s.syncgroups()
	if err != nil {
		return nil, name, SyncgroupSpec{}, err
	}
	spec, err := sgs.Spec(ctx, t.db.Name(), name)
	if err == nil {
		err = acl.Syncgroup(t.list, spec.Permissions, t.caller, tag)
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, acl.ErrHidden) {
		err = missing(ErrNotFound, id.Collection{Kind: id.Syncgroup, Name: name})
	}
	return t, name, spec, err
}

// ListMembers takes Read on the syncgroup.
func (s *Server) ListMembers(req *nodev1.ListMembersRequest, stream grpc.ServerStreamingServer[nodev1.ListMembersResponse]) error {
	t, name, _, err := s.openSyncgroup(stream.Context(), req.GetDatabase(), req.GetSyncgroup(), perm.Read)
	if err != nil {
		return err
	}
	members, err := s.opts.Syncgroups.Members(stream.Context(), t.db.Name(), name)
	if err != nil {
		return err
	}
	for _, m := range members {
		resp := &nodev1.ListMembersResponse{
			Member: string(m.Principal), Type: m.Type, Joined: timestamppb.New(m.Joined), Priority: m.Priority,
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
	return nil
}

// GetSyncgroupSpec takes Read on the syncgroup.
func (s *Server) GetSyncgroupSpec(ctx context.Context, req *nodev1.GetSyncgroupSpecRequest) (*nodev1.GetSyncgroupSpecResponse, error) {
	_, _, spec, err := s.openSyncgroup(ctx, req.GetDatabase(), req.GetSyncgroup(), perm.Read)
	if err != nil {
		return nil, err
	}
	return &nodev1.GetSyncgroupSpecResponse{Spec: spec.JSON, Version: spec.Version}, nil
}

// WaitSyncgroup takes Read on the syncgroup.
func (s *Server) WaitSyncgroup(ctx context.Context, req *nodev1.WaitSyncgroupRequest) (*nodev1.WaitSyncgroupResponse, error) {
	t, name, _, err := s.openSyncgroup(ctx, req.GetDatabase(), req.GetSyncgroup(), perm.Read)
	if err != nil {
		return nil, err
	}
	ctx, stop := s.untilDrained(ctx)
	defer stop()
	peers, err := s.opts.Syncgroups.Wait(ctx, t.db.Name(), name)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	return &nodev1.WaitSyncgroupResponse{Peers: uint64(peers)}, nil
}
