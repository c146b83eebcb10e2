package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// viaStatic is the source of addresses that stand in the configuration.
const viaStatic = "static"

func (h *Host) newPeers() (err error) {
	h.peers, err = peer.New(peer.Options{
		Identity:  h.identity,
		Device:    h.rows.Writer().Device,
		Instance:  newInstance(),
		OnTwin:    h.metTwin,
		OnCopies:  h.metCopies,
		Features:  h.opts.Seams.Features,
		Comparer:  h.comparer(),
		Refusals:  h.refusalBook(),
		Name:      h.opts.Config.Node.Name,
		Software:  h.opts.Version,
		Addresses: h.PeerAddresses,
		Puller:    h.opts.Seams.Puller(puller{h}),
		Admitter:  admitter{h},
		Registrar: registrar{h},
		Blobs:     blobServer{h},
		Time:      h.clock,
		OnLink:    h.follow,
		Calls:     h.opts.Seams.Calls,
		Dial:      h.opts.Seams.Dial,
		Log:       h.log.Named("peer"),
	})
	if err != nil {
		return err
	}
	for _, address := range h.opts.Config.Node.Peers {
		if err := h.peers.AddAddress(viaStatic, address); err != nil {
			return fmt.Errorf("node.peers: %w", err)
		}
	}
	return h.recallPeers()
}

// recallPeers tells the sessions where peers were reached before.
func (h *Host) recallPeers() error {
	addresses, err := h.contacts().load()
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if err := h.peers.AddAddress(viaMeeting, address); err != nil {
			h.log.Debug("remembered address of no use", "address", address, "error", err)
		}
	}
	return nil
}

func (h *Host) contacts() addressBook { return addressBook{h.kv} }

// follow pulls from a peer for as long as the link is up.
func (h *Host) follow(ctx context.Context, link *peer.Link) {
	p := link.Peer()
	h.remember(p)
	h.tellLink()
	h.fetcher.PeerUp(p.Device)
	var asking sync.WaitGroup
	asking.Go(func() { h.clock.compare(ctx, link) })
	asking.Go(func() { h.askStanding(ctx, link) })
	asking.Go(func() { h.compare(ctx, link) })
	asking.Go(func() { h.reportRefused(ctx, link) })
	asking.Go(func() { h.askApart(ctx, link) })
	from := enginePeer(p)
	from.HoldsBack = link.Has(peer.FeatureHoldBack) && slices.Contains(h.opts.Seams.Features, peer.FeatureHoldBack)
	h.engine.Follow(ctx, from, opener(link))
	asking.Wait()
	if !h.linkedBeside(link) {
		h.fetcher.PeerDown(p.Device)
	}
}

// linkedBeside reports whether a copy of the device at the other end of the link has a link, too.
func (h *Host) linkedBeside(link *peer.Link) bool {
	return slices.ContainsFunc(h.peers.Links(), func(l *peer.Link) bool {
		return l != link && l.Err() == nil && l.Peer().Device == link.Peer().Device
	})
}

// remember takes down where a peer was reached, and no longer expects it where it was before.
func (h *Host) remember(p peer.Peer) {
	if p.Callback {
		return // from there it calls, which does not mean that it can be called
	}
	before, err := h.contacts().note(p, h.opts.Seams.Now())
	if err != nil {
		h.log.Warn("cannot take note of where a peer is", "peer", p.Name, "error", err)
		return
	}
	if before != p.Address {
		if before != "" {
			h.peers.RemoveAddress(viaMeeting, before)
		}
		if err := h.peers.AddAddress(viaMeeting, p.Address); err != nil {
			h.log.Debug("address of no use", "address", p.Address, "error", err)
		}
	}
}

// viaForClients names the source of an address as clients know it.
func viaForClients(via string) string {
	switch via {
	case viaStatic, viaDiscovery, viaSyncgroup:
		return via
	case "incoming":
		return "inbound"
	}
	// The peer said so itself, a join, or an earlier meeting: all happen for the sake of a syncgroup.
	return viaSyncgroup
}

func enginePeer(p peer.Peer) engine.Peer {
	return engine.Peer{Principal: p.Principal, Device: p.Device, Instance: p.Instance, Name: p.Name}
}

func opener(link *peer.Link) engine.Opener {
	return func(ctx context.Context, open delta.Open) (engine.Stream, error) {
		stream, err := link.Pull(ctx, open)
		if err != nil {
			return nil, err
		}
		return pull{stream, link.Peer().Name}, nil
	}
}

// pull is a pull for the engine.
type pull struct {
	*peer.PullStream
	from string
}

func (p pull) Recv() (delta.Message, error) {
	m, err := p.PullStream.Recv()
	if errors.Is(err, peer.ErrPaused) {
		err = &pausedThere{p.from, err}
	}
	return m, err
}

// pausedThere says to the engine that a peer has paused syncing.
type pausedThere struct {
	peer string
	err  error
}

func (p *pausedThere) Is(target error) bool { return target == engine.ErrPaused }
func (p *pausedThere) Unwrap() error        { return p.err }
func (p *pausedThere) Error() string        { return p.peer + " has paused syncing" }

func (h *Host) pullFailed(db *rows.DB, from engine.Peer, err error) {
	if errors.Is(err, peer.ErrNotFound) {
		// The other side has not heard of our membership yet, or not any more.
		h.log.Debug("peer has nothing for us", "peer", from.Name, "database", db.Name())
		h.doubt(from.Principal, db)
		return
	}
	if errors.Is(err, peer.ErrUnreachable) || status.Code(err) == codes.Canceled {
		// The peer went away or stops; what the session says of it is enough.
		h.log.Debug("pull ended with its connection", "peer", from.Name, "database", db.Name(), "error", err)
		return
	}
	if errors.Is(err, rows.ErrLettersFull) {
		h.log.Error("nothing is taken from a peer: too much of what it sends is refused", "peer", from.Name, "database", db.Name(), "error", err)
		return
	}
	if errors.Is(err, rows.ErrRefused) {
		h.log.Error("refused what a peer sent: nothing is taken from it until that is mended", "peer", from.Name, "database", db.Name(), "error", err)
		return
	}
	h.log.Warn("pull was interrupted", "peer", from.Name, "database", db.Name(), "error", err)
}

// received looks for references to blobs in what arrived: whoever sent a row is likely to have what it refers to.
func (h *Host) received(db *rows.DB, from engine.Peer, got rows.Received) {
	if got.Conflicts > 0 {
		h.log.Info("settled conflicts", "database", db.Name(), "peer", from.Name, "rows", got.Conflicts)
	}
	for _, device := range h.wrong.note(db, got.AheadOf, h.opts.Seams.Now()) {
		h.log.Warn("commits bear a time in the future: the clock of their writer is wrong", "database", db.Name(), "writer", device,
			"member", memberWith(db, device), "passed_on_by", from.Name)
	}
	h.arrived(from.Device, got.Fresh)
}

// puller answers pulls by the engine.
type puller struct{ h *Host }

func (p puller) ServePull(ctx context.Context, caller peer.Caller, open delta.Open, stream peer.ServerStream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.h.draining, cancel)()
	from := engine.Peer{Principal: caller.Principal, Device: caller.Device, Name: caller.Name}
	err := p.h.engine.Serve(ctx, from, open, stream)
	if errors.Is(err, engine.ErrHidden) && errors.Is(err, engine.ErrPaused) {
		return fmt.Errorf("%w: %w: %w", peer.ErrNotFound, peer.ErrPaused, err)
	}
	if errors.Is(err, engine.ErrHidden) {
		return fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	return err
}

// admitter lets peers into syncgroups.
type admitter struct{ h *Host }

func (a admitter) Admit(_ context.Context, caller peer.Caller, database, name id.Name, memberType string) (peer.Admission, error) {
	db, err := a.h.rows.Database(database)
	if err != nil {
		return peer.Admission{}, fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	as, err := syncgroup.ParseMemberType(memberType)
	if err != nil {
		return peer.Admission{}, fmt.Errorf("%w: %w", peer.ErrDenied, err)
	}
	if caller.Device == (id.Device{}) {
		return peer.Admission{}, fmt.Errorf("%w: a join before the hello", peer.ErrDenied)
	}
	admission, err := syncgroup.Admit(db, name, a.h.identity.Principal(), a.h.member(caller.Principal, caller.Device, as))
	switch {
	case errors.Is(err, syncgroup.ErrDenied), errors.Is(err, syncgroup.ErrState):
		return peer.Admission{}, fmt.Errorf("%w: %w", peer.ErrDenied, err)
	case errors.Is(err, rows.ErrPaused):
		return peer.Admission{}, fmt.Errorf("%w: %w: %w", peer.ErrNotFound, peer.ErrPaused, err)
	case errors.Is(err, syncgroup.ErrNone):
		return peer.Admission{}, fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	if err == nil {
		a.h.log.Info("admitted a member", "syncgroup", name, "database", database, "member", caller.Principal, "type", as)
	}
	return peer.Admission{Spec: admission.Spec, Known: admission.Known}, err
}

// peerList tells clients who is known.
type peerList struct{ h *Host }

func (l peerList) List(context.Context) ([]api.Peer, error) {
	var list []api.Peer
	dbs, _ := l.h.rows.Databases()
	for _, s := range l.h.peers.Known() {
		p := api.Peer{
			Name: s.Name, Address: s.Address, Via: viaForClients(s.Via), Connected: s.Connected, LastContact: s.LastContact,
			Principal: s.Principal, BytesReceived: s.BytesIn, BytesSent: s.BytesOut,
		}
		if s.Device != (id.Device{}) {
			p.Device = s.Device.String()
		}
		var errs []string
		if s.Err != nil {
			errs = append(errs, s.Err.Error())
		}
		shared := false // a database with it; of several, the one that was compared longest ago counts
		for _, db := range dbs {
			p.LagRecords = delta.AddRecords(p.LagRecords, l.h.engine.Lag(s.Principal, db))
			p.ToSendRecords = delta.AddRecords(p.ToSendRecords, l.h.engine.ToSend(s.Principal, db))
			if fault := l.h.engine.Fault(s.Principal, db); fault != nil {
				errs = append(errs, fmt.Sprintf("database %s: %v", db.Name(), fault))
			}
			compared := l.h.engine.Compared(s.Principal, db)
			p.Divergences += compared.Divergences
			if shares, err := l.h.engine.Shares(db, s.Principal); err != nil || !shares {
				continue // it may be that all of its syncgroups are destroyed by now
			}
			if !shared || compared.At.Before(p.Verified) {
				shared, p.Verified = true, compared.At
			}
		}
		p.Error = strings.Join(errs, "; ")
		list = append(list, p)
	}
	return list, nil
}

// node tells clients about the daemon.
type node struct{ h *Host }

func (n node) Facts() api.Facts {
	d := n.h.identity.Describe()
	f := api.Facts{
		Name: n.h.opts.Config.Node.Name, Version: n.h.opts.Version, DataDir: n.h.opts.Config.Node.DataDir,
		Principal: d.Principal, NotAfter: d.Expires, Authority: d.Authority, Clocks: n.h.clock.opinions(),
	}
	f.HTTPAddresses = n.h.HTTPAddresses()
	if addresses := n.h.PeerAddresses(); len(addresses) > 0 {
		f.PeerAddress = addresses[0]
	}
	return f
}

func (h *Host) newAPI() (err error) {
	h.api, err = api.New(api.Options{
		Rows: h.rows, Owner: h.identity.Owner(), Caller: identity.Caller, Node: node{h},
		Syncgroups: syncgroups{h}, Blobs: blobService{h}, BlobBytes: blobBytes{h}, Peers: peerList{h}, Plugins: pluginList{h},
		Resolvers: h.desks, Clock: h.shiftable(), Backup: h.backup, Gone: h.dir.gone, Holders: h.holders, Alarms: h.alarms,
		Refusals: refusals{h},
	})
	return err
}

// linksTo returns the links to members of the syncgroup.
func (h *Host) linksTo(db *rows.DB, g syncgroup.Group) ([]*peer.Link, error) {
	var links []*peer.Link
	for _, link := range h.peers.Links() {
		member, err := syncgroup.HasMember(db, g, link.Peer().Principal)
		if err != nil {
			return nil, err
		}
		if member {
			links = append(links, link)
		}
	}
	return slices.Clip(links), nil
}
