package peer

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// records answers with what it holds.
type records struct {
	standings   []Standing
	invitations []Invitation
	// published is what Publish was told.
	published []string
	err       error
}

func (r *records) Standing(context.Context, Caller, id.Name, []id.Name) ([]Standing, error) {
	return r.standings, r.err
}

func (r *records) Publish(_ context.Context, caller Caller, database, syncgroup id.Name, spec []byte) (string, error) {
	r.published = append(r.published, string(caller.Principal), database.Local, syncgroup.Local, string(spec))
	return "server", r.err
}

func (r *records) Invitations(context.Context, Caller) ([]Invitation, error) {
	return r.invitations, r.err
}

func TestMembershipCalls(t *testing.T) {
	f := newFamily(t)
	r := &records{
		standings:   []Standing{{Syncgroup: sg, Membership: "ejected", Since: time.Unix(5, 6000).UTC()}},
		invitations: []Invitation{{Database: db, Syncgroup: sg, Description: "d", Creator: "c"}, {Database: db, Syncgroup: db, Creator: "c"}},
	}
	a := start(t, Options{Identity: f.member(t, "a"), Registrar: r})
	b := start(t, Options{Identity: f.member(t, "b")})
	link := mustConnect(t, b, a.address)
	standings, err := link.Standing(t.Context(), db, []id.Name{db, sg})
	if diff := cmp.Diff(r.standings, standings); err != nil || diff != "" {
		t.Errorf("standing: %v (-want +got):\n%s", err, diff)
	}
	invitations, err := link.Invitations(t.Context())
	if diff := cmp.Diff(r.invitations, invitations); err != nil || diff != "" {
		t.Errorf("invitations: %v (-want +got):\n%s", err, diff)
	}
	as, err := link.Publish(t.Context(), db, sg, []byte("spec"))
	want := []string{string(b.opts.Identity.Principal()), db.Local, sg.Local, "spec"}
	if diff := cmp.Diff(want, r.published); err != nil || as != "server" || diff != "" {
		t.Errorf("publish: %s, %v (-want +got):\n%s", as, err, diff)
	}
	r.err = ErrDenied
	if _, err := link.Publish(t.Context(), db, sg, []byte("spec")); !errors.Is(err, ErrDenied) {
		t.Errorf("publish what is refused: %v", err)
	}
	if link.Err() != nil {
		t.Errorf("the link ended: %v", link.Err())
	}
}

// A daemon that does not answer these calls keeps the link.
func TestMembershipIsOptional(t *testing.T) {
	f := newFamily(t)
	a := start(t, Options{Identity: f.member(t, "a")})
	b := start(t, Options{Identity: f.member(t, "b")})
	link := mustConnect(t, b, a.address)
	_, standing := link.Standing(t.Context(), db, []id.Name{sg})
	_, publish := link.Publish(t.Context(), db, sg, []byte("spec"))
	_, invitations := link.Invitations(t.Context())
	for what, err := range map[string]error{"standing": standing, "publish": publish, "invitations": invitations} {
		if status.Code(errors.Unwrap(err)) != codes.Unimplemented || link.Err() != nil {
			t.Errorf("%s: %v, link %v", what, err, link.Err())
		}
	}
}

// slanderer answers calls about membership as a test tells it to.
type slanderer struct {
	liar
	peerv1.UnimplementedMembershipServiceServer
	standing    *peerv1.StandingResponse
	publish     *peerv1.PublishResponse
	invitations []*peerv1.InvitationsResponse
}

func (s *slanderer) Standing(context.Context, *peerv1.StandingRequest) (*peerv1.StandingResponse, error) {
	return s.standing, nil
}

func (s *slanderer) Publish(context.Context, *peerv1.PublishRequest) (*peerv1.PublishResponse, error) {
	return s.publish, nil
}

func (s *slanderer) Invitations(_ *peerv1.InvitationsRequest, stream grpc.ServerStreamingServer[peerv1.InvitationsResponse]) error {
	for _, m := range s.invitations {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *slanderer) listen(t *testing.T, as *identity.Identity) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(as.ServerCredentials(nil)))
	peerv1.RegisterPeerServiceServer(server, &s.liar)
	peerv1.RegisterMembershipServiceServer(server, s)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

func TestMalformedMembershipIsRefused(t *testing.T) {
	f := newFamily(t)
	a, b := f.member(t, "a"), f.member(t, "b")
	invitation := func(change func(*peerv1.InvitationsResponse)) []*peerv1.InvitationsResponse {
		m := &peerv1.InvitationsResponse{Database: encodeName(db), Syncgroup: encodeName(sg), Creator: "c"}
		change(m)
		return []*peerv1.InvitationsResponse{m}
	}
	var many []*peerv1.InvitationsResponse
	for range maxInvitations + 1 {
		many = append(many, invitation(func(*peerv1.InvitationsResponse) {})...)
	}
	for name, tc := range map[string]struct {
		s    slanderer
		want string
	}{
		"standing of another":  {slanderer{standing: &peerv1.StandingResponse{Standings: []*peerv1.Standing{{Syncgroup: encodeName(db)}}}}, "not asked for"},
		"standing of nothing":  {slanderer{standing: &peerv1.StandingResponse{Standings: []*peerv1.Standing{{}}}}, "not asked for"},
		"published as nothing": {slanderer{publish: &peerv1.PublishResponse{}}, "unknown member type"},
		"no database":          {slanderer{invitations: invitation(func(m *peerv1.InvitationsResponse) { m.Database = nil })}, "a database"},
		"no syncgroup":         {slanderer{invitations: invitation(func(m *peerv1.InvitationsResponse) { m.Syncgroup = nil })}, "a syncgroup"},
		"no creator":           {slanderer{invitations: invitation(func(m *peerv1.InvitationsResponse) { m.Creator = "" })}, ""},
		"a long description": {slanderer{invitations: invitation(func(m *peerv1.InvitationsResponse) {
			m.Description = strings.Repeat("x", maxInvitedText+1)
		})}, "a description of"},
		"too many": {slanderer{invitations: many}, "more than 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Identity: a})
			link := mustConnect(t, n, tc.s.listen(t, b))
			var err error
			switch {
			case tc.s.standing != nil:
				_, err = link.Standing(t.Context(), db, []id.Name{sg})
			case tc.s.publish != nil:
				_, err = link.Publish(t.Context(), db, sg, []byte("spec"))
			default:
				_, err = link.Invitations(t.Context())
			}
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrProtocol with %q", err, tc.want)
			}
		})
	}
}

func TestMalformedMembershipRequests(t *testing.T) {
	f := newFamily(t)
	n := start(t, Options{Identity: f.member(t, "a"), Registrar: &records{}})
	conn := caller(t, n, f.member(t, "b"))
	client := peerv1.NewMembershipServiceClient(conn)
	ctx := t.Context()
	standing := func(names ...*peerv1.Name) func() error {
		return func() error {
			_, err := client.Standing(ctx, &peerv1.StandingRequest{Database: encodeName(db), Syncgroups: names})
			return err
		}
	}
	publish := func(req *peerv1.PublishRequest) func() error {
		return func() error {
			_, err := client.Publish(ctx, req)
			return err
		}
	}
	early := standing(encodeName(sg))()
	if status.Code(early) != codes.InvalidArgument || !strings.Contains(early.Error(), "before the hello") {
		t.Errorf("before the hello: %v", early)
	}
	d := device(7)
	if _, err := peerv1.NewPeerServiceClient(conn).Hello(ctx, &peerv1.HelloRequest{Name: "b", Device: d[:]}); err != nil {
		t.Fatal(err)
	}
	var many []*peerv1.Name
	for range maxSyncgroups + 1 {
		many = append(many, encodeName(sg))
	}
	for name, call := range map[string]func() error{
		"no syncgroups":          standing(),
		"too many":               standing(many...),
		"a bad name":             standing(&peerv1.Name{Owner: "o", Local: ""}),
		"publish no spec":        publish(&peerv1.PublishRequest{Database: encodeName(db), Syncgroup: encodeName(sg)}),
		"publish nothing":        publish(&peerv1.PublishRequest{Database: encodeName(db), Spec: []byte("x")}),
		"publish in no database": publish(&peerv1.PublishRequest{Syncgroup: encodeName(sg), Spec: []byte("x")}),
	} {
		if err := call(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
	}
}
