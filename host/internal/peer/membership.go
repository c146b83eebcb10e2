package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Bounds of what is said about membership.
const (
	maxInvitations  = 1000
	maxInvitedText  = 4096
	maxInvitedBytes = 16 << 10
)

// Standing is how a caller stands to a syncgroup: "member", "left", "ejected", "removed" or "destroyed".
type Standing struct {
	Syncgroup  id.Name
	Membership string
	Since      time.Time
	// Ejection is set when the membership is "ejected" and the peer says more of it.
	Ejection Ejection
	// Spec is the version of the specification that a "removed" follows from, zero if the peer does not say.
	Spec id.Version
}

// Ejection says by whom a caller was ejected, on which member, and what that one knew then; see syncgroup.Member.
type Ejection struct {
	By, From id.Principal
	Knew     time.Time
}

// Invitation is a syncgroup that a peer would admit the caller to.
type Invitation struct {
	Database, Syncgroup id.Name
	Description         string
	Creator             id.Principal
}

// Registrar answers what peers ask about membership.
type Registrar interface {
	// Standing leaves out what the caller never was a member of.
	Standing(ctx context.Context, caller Caller, database id.Name, syncgroups []id.Name) ([]Standing, error)
	// Publish makes this daemon a member, and returns of which type. ErrDenied when the caller may not do that.
	Publish(ctx context.Context, caller Caller, database, syncgroup id.Name, spec []byte) (memberType string, err error)
	// Invitations lists what the caller may join.
	Invitations(ctx context.Context, caller Caller) ([]Invitation, error)
}

var memberships = map[string]peerv1.Membership{
	"member":  peerv1.Membership_MEMBERSHIP_MEMBER,
	"left":    peerv1.Membership_MEMBERSHIP_LEFT,
	"ejected": peerv1.Membership_MEMBERSHIP_EJECTED,
	"removed": peerv1.Membership_MEMBERSHIP_REMOVED,

	"destroyed": peerv1.Membership_MEMBERSHIP_DESTROYED,
}

func checkSpec(spec []byte) error {
	switch n := len(spec); {
	case n == 0:
		return errors.New("an empty specification")
	case n > maxSpec:
		return fmt.Errorf("a specification of %d bytes, the limit is %d", n, maxSpec)
	}
	return nil
}

// membership answers peers.
type membership struct {
	peerv1.UnimplementedMembershipServiceServer
	sessions *Sessions
}

// registrar returns who answers, and who asks: a device that has said hello.
func (v *membership) registrar(ctx context.Context) (Registrar, Caller, error) {
	_, caller, err := v.sessions.callerOf(ctx)
	if err != nil {
		return nil, caller, err
	}
	if caller.Device == (id.Device{}) {
		return nil, caller, invalid(errors.New("a call before the hello"))
	}
	return v.sessions.opts.Registrar, caller, nil
}

func (v *membership) Standing(ctx context.Context, req *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	r, caller, err := v.registrar(ctx)
	if err != nil {
		return nil, err
	}
	database, err := decodeName(req.GetDatabase())
	if err != nil {
		return nil, invalid(fmt.Errorf("a database: %w", err))
	}
	if n := len(req.GetSyncgroups()); n == 0 || n > maxSyncgroups {
		return nil, invalid(fmt.Errorf("%d syncgroups, want 1 to %d", n, maxSyncgroups))
	}
	var names []id.Name
	for _, m := range req.GetSyncgroups() {
		name, err := decodeName(m)
		if err != nil {
			return nil, invalid(fmt.Errorf("a syncgroup: %w", err))
		}
		names = append(names, name)
	}
	if r == nil {
		return v.UnimplementedMembershipServiceServer.Standing(ctx, req)
	}
	list, err := r.Standing(ctx, caller, database, names)
	if err != nil {
		return nil, v.sessions.toStatus(err)
	}
	resp := &peerv1.StandingResponse{}
	for _, s := range list {
		resp.Standings = append(resp.Standings, encodeStanding(s))
	}
	return resp, nil
}

func (v *membership) Publish(ctx context.Context, req *peerv1.PublishRequest) (*peerv1.PublishResponse, error) {
	r, caller, err := v.registrar(ctx)
	if err != nil {
		return nil, err
	}
	database, err := decodeName(req.GetDatabase())
	if err != nil {
		return nil, invalid(fmt.Errorf("a database: %w", err))
	}
	syncgroup, err := decodeName(req.GetSyncgroup())
	if err != nil {
		return nil, invalid(fmt.Errorf("a syncgroup: %w", err))
	}
	if err := checkSpec(req.GetSpec()); err != nil {
		return nil, invalid(err)
	}
	if r == nil {
		return v.UnimplementedMembershipServiceServer.Publish(ctx, req)
	}
	memberType, err := r.Publish(ctx, caller, database, syncgroup, req.GetSpec())
	if err != nil {
		return nil, v.sessions.toStatus(err)
	}
	return &peerv1.PublishResponse{MemberType: memberTypes[memberType]}, nil
}

func (v *membership) Invitations(req *peerv1.InvitationsRequest, stream grpc.ServerStreamingServer[peerv1.InvitationsResponse]) error {
	r, caller, err := v.registrar(stream.Context())
	if err != nil {
		return err
	}
	if r == nil {
		return v.UnimplementedMembershipServiceServer.Invitations(req, stream)
	}
	list, err := r.Invitations(stream.Context(), caller)
	if err != nil {
		return v.sessions.toStatus(err)
	}
	for _, i := range list[:min(len(list), maxInvitations)] {
		err := stream.Send(&peerv1.InvitationsResponse{
			Database: encodeName(i.Database), Syncgroup: encodeName(i.Syncgroup), Description: i.Description, Creator: string(i.Creator),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Standing asks how this daemon stands to syncgroups, at most 1,024. What the peer does not know, or never knew this
// daemon as a member of, is left out.
func (l *Link) Standing(ctx context.Context, database id.Name, syncgroups []id.Name) ([]Standing, error) {
	req := &peerv1.StandingRequest{Database: encodeName(database)}
	for _, name := range syncgroups[:min(len(syncgroups), maxSyncgroups)] {
		req.Syncgroups = append(req.Syncgroups, encodeName(name))
	}
	resp, err := l.members.Standing(ctx, req)
	if err != nil {
		return nil, l.failed(err)
	}
	var list []Standing
	for _, m := range resp.GetStandings() {
		name, err := decodeName(m.GetSyncgroup())
		if err != nil || !slices.Contains(syncgroups, name) {
			return nil, l.failed(violation("a standing that was not asked for"))
		}
		s := Standing{Syncgroup: name, Membership: "member", Since: m.GetSince().AsTime()}
		for text, membership := range memberships {
			if membership == m.GetMembership() {
				s.Membership = text
			}
		}
		if s.Ejection, err = decodeEjection(m); err != nil {
			return nil, l.failed(violation("an ejection: %w", err))
		}
		if s.Spec, err = decodeSpecVersion(m.GetSpecVersion()); err != nil {
			return nil, l.failed(violation("a version of a specification: %w", err))
		}
		list = append(list, s)
	}
	return list, nil
}

func decodeSpecVersion(text string) (id.Version, error) {
	if text == "" {
		return id.Version{}, nil
	}
	return id.ParseVersion(text)
}

func encodeStanding(s Standing) *peerv1.Standing {
	m := &peerv1.Standing{
		Syncgroup: encodeName(s.Syncgroup), Membership: memberships[s.Membership], Since: timestamppb.New(s.Since),
		EjectedBy: string(s.Ejection.By), EjectedFrom: string(s.Ejection.From),
	}
	if !s.Ejection.Knew.IsZero() {
		m.EjectorKnew = timestamppb.New(s.Ejection.Knew)
	}
	if !s.Spec.IsZero() {
		m.SpecVersion = s.Spec.String()
	}
	return m
}

func decodeEjection(m *peerv1.Standing) (e Ejection, err error) {
	for _, p := range []struct {
		text string
		to   *id.Principal
	}{{m.GetEjectedBy(), &e.By}, {m.GetEjectedFrom(), &e.From}} {
		if *p.to = id.Principal(p.text); p.text != "" {
			err = errors.Join(err, p.to.Validate())
		}
	}
	if m.GetEjectorKnew() != nil {
		e.Knew = m.GetEjectorKnew().AsTime()
	}
	return e, err
}

// Publish hands a syncgroup over to the peer and returns as a member of which type it takes part.
func (l *Link) Publish(ctx context.Context, database, syncgroup id.Name, spec []byte) (memberType string, err error) {
	resp, err := l.members.Publish(ctx, &peerv1.PublishRequest{
		Database: encodeName(database), Syncgroup: encodeName(syncgroup), Spec: spec,
	})
	if err != nil {
		return "", l.failed(err)
	}
	if memberType, err = decodeMemberType(resp.GetMemberType()); err != nil {
		return "", l.failed(violation("%w", err))
	}
	return memberType, nil
}

// Invitations lists what the peer would admit this daemon to.
func (l *Link) Invitations(ctx context.Context) ([]Invitation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.members.Invitations(ctx, &peerv1.InvitationsRequest{}, grpc.MaxCallRecvMsgSize(maxInvitedBytes))
	if err != nil {
		return nil, l.failed(err)
	}
	var list []Invitation
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, l.failed(err)
		}
		i, err := decodeInvitation(m)
		if err == nil && len(list) == maxInvitations {
			err = fmt.Errorf("more than %d invitations", maxInvitations)
		}
		if err != nil {
			return nil, l.failed(violation("%w", err))
		}
		list = append(list, i)
	}
}

func decodeInvitation(m *peerv1.InvitationsResponse) (i Invitation, err error) {
	if i.Database, err = decodeName(m.GetDatabase()); err != nil {
		return i, fmt.Errorf("a database: %w", err)
	}
	if i.Syncgroup, err = decodeName(m.GetSyncgroup()); err != nil {
		return i, fmt.Errorf("a syncgroup: %w", err)
	}
	if n := len(m.GetDescription()); n > maxInvitedText {
		return i, fmt.Errorf("a description of %d bytes, the limit is %d", n, maxInvitedText)
	}
	i.Description, i.Creator = m.GetDescription(), id.Principal(m.GetCreator())
	return i, i.Creator.Validate()
}
