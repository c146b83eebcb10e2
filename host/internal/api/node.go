package api

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// Status takes Admin on the service, as does everything in this file.
func (s *Server) Status(ctx context.Context, _ *nodev1.StatusRequest) (*nodev1.StatusResponse, error) {
	if _, err := s.service(ctx, perm.Admin); err != nil {
		return nil, err
	}
	facts := s.opts.Node.Facts()
	resp := &nodev1.StatusResponse{
		Name: facts.Name, Device: s.opts.Rows.Writer().String(), Version: facts.Version, DataDir: facts.DataDir,
		PeerAddress: facts.PeerAddress, Principal: string(facts.Principal),
		HttpAddresses: facts.HTTPAddresses, Conflicts: s.conflictCounts(),
	}
	resp.Alarms, resp.Store = s.alarms(), s.storeSpace()
	if s.opts.Clock != nil {
		now, ahead := s.opts.Clock.Shift(0)
		resp.DevelopmentClock = &nodev1.DevelopmentClock{Now: timestamppb.New(now), Shift: durationpb.New(ahead)}
	}
	for _, c := range facts.Clocks {
		resp.Clocks = append(resp.Clocks, clockProto(c))
	}
	err := s.eachPlugin(ctx, func(p *nodev1.Plugin) error {
		resp.Plugins = append(resp.Plugins, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.eachPeer(ctx, func(p *nodev1.Peer) error {
		resp.Peers = append(resp.Peers, p)
		return nil
	})
	for _, x := range s.opts.Rows.Sweeping() {
		resp.Sweeping = append(resp.Sweeping, &nodev1.Sweeping{Database: x.Database.String(), Collection: x.Collection.Name.String()})
	}
	if err != nil {
		return nil, err
	}
	if resp.Refused, err = s.refusedCounts(); err != nil {
		return nil, err
	}
	if resp.Databases, err = s.spaces(); err != nil || s.opts.Syncgroups == nil {
		return resp, err
	}
	states, err := s.opts.Syncgroups.States(ctx)
	for _, sg := range states {
		if !sg.Member() {
			continue
		}
		resp.Syncgroups = append(resp.Syncgroups, &nodev1.SyncgroupState{
			Database: sg.Database.String(), Name: sg.Name.String(),
			Members: sg.Members, Connected: sg.Connected, LagRecords: sg.LagRecords, State: sg.State,
		})
	}
	return resp, err
}

func clockProto(c Clock) *nodev1.Clock {
	p := &nodev1.Clock{Skew: durationpb.New(c.Skew), Hops: uint32(c.Hops)}
	if c.Database != (id.Name{}) {
		p.Database = c.Database.String()
	}
	if !c.Server.IsZero() {
		p.Server = timestamppb.New(c.Server)
	}
	return p
}

func (s *Server) eachPlugin(ctx context.Context, visit func(*nodev1.Plugin) error) error {
	if s.opts.Plugins == nil {
		return nil
	}
	list, err := s.opts.Plugins.List(ctx)
	for i := 0; i < len(list) && err == nil; i++ {
		p := &list[i]
		err = visit(&nodev1.Plugin{
			Name: p.Name, Kind: p.Kind, State: p.State, Pid: int64(p.PID), Restarts: p.Restarts,
			Version: p.Version, Message: p.Message,
		})
	}
	return err
}

func (s *Server) eachPeer(ctx context.Context, visit func(*nodev1.Peer) error) error {
	if s.opts.Peers == nil {
		return nil
	}
	list, err := s.opts.Peers.List(ctx)
	for i := 0; i < len(list) && err == nil; i++ {
		p := &list[i]
		err = visit(&nodev1.Peer{
			Name: p.Name, Address: p.Address, Via: p.Via, Connected: p.Connected, LastContact: optionalTime(p.LastContact),
			LagRecords: p.LagRecords, ToSendRecords: p.ToSendRecords, Principal: string(p.Principal), Device: p.Device,
			BytesReceived: p.BytesReceived, BytesSent: p.BytesSent, Error: p.Error,
			Verified: optionalTime(p.Verified), Divergences: p.Divergences,
		})
	}
	return err
}

// optionalTime leaves out what has not happened.
func optionalTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// ListPeers streams the known peers.
func (s *Server) ListPeers(_ *nodev1.ListPeersRequest, stream grpc.ServerStreamingServer[nodev1.ListPeersResponse]) error {
	if _, err := s.service(stream.Context(), perm.Admin); err != nil {
		return err
	}
	return s.eachPeer(stream.Context(), func(p *nodev1.Peer) error {
		return stream.Send(&nodev1.ListPeersResponse{Peer: p})
	})
}

// ListPlugins streams the plugin instances.
func (s *Server) ListPlugins(_ *nodev1.ListPluginsRequest, stream grpc.ServerStreamingServer[nodev1.ListPluginsResponse]) error {
	if _, err := s.service(stream.Context(), perm.Admin); err != nil {
		return err
	}
	return s.eachPlugin(stream.Context(), func(p *nodev1.Plugin) error {
		return stream.Send(&nodev1.ListPluginsResponse{Plugin: p})
	})
}

// ShowIdentity tells who the daemon is.
func (s *Server) ShowIdentity(ctx context.Context, _ *nodev1.ShowIdentityRequest) (*nodev1.ShowIdentityResponse, error) {
	if _, err := s.service(ctx, perm.Admin); err != nil {
		return nil, err
	}
	facts := s.opts.Node.Facts()
	return &nodev1.ShowIdentityResponse{
		Principal: string(facts.Principal), Owner: string(s.opts.Owner), TrustDomain: facts.Principal.TrustDomain(),
		NotAfter: optionalTime(facts.NotAfter), Authority: facts.Authority,
	}, nil
}
