package plug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
)

// Bounds of the discovery protocol.
const (
	maxNodeID    = 64
	maxAddresses = 16
	maxAddress   = 255 + len(":65535")
	maxGroups    = 16
	maxGroup     = 16
	maxRecord    = 512
	maxSource    = 256

	minLease = time.Second
	maxLease = 24 * time.Hour

	// resubscribePause keeps a plugin that ends its streams at once from being asked in a tight loop.
	resubscribePause = time.Second
)

// Discovery tells other nodes where this one can be reached, and learns where others can be. Safe for concurrent use.
type Discovery struct {
	caller
	log hclog.Logger
}

// Discovery returns the facade of an instance of kind discovery. The instance need not exist yet.
func (h *Host) Discovery(name string) *Discovery {
	return &Discovery{caller: caller{host: h, kind: KindDiscovery, name: name}, log: h.pluginLog(name)}
}

// Advert is what a node says about itself. Nothing in it has been verified.
type Advert struct {
	NodeID    []byte
	Addresses []string // "host:port"; when announcing, an empty host stands for the addresses of the interfaces
	Groups    [][]byte // blinded names of syncgroups
	Record    []byte
}

// Sighting is an event of Watch.
type Sighting struct {
	Kind   SightingKind
	Advert Advert        // with Lost only NodeID is set; empty with Synced
	TTL    time.Duration // with Seen: how long it holds unless repeated. The receiver expires it
	Source string        // where it was seen, for people
}

// SightingKind says what a Sighting means.
type SightingKind uint8

// The kinds of sightings. Synced comes once after everything already known; after a restart of the plugin, everything
// and Synced come again.
const (
	Seen SightingKind = iota + 1
	Lost
	Synced
)

// Check lists what is wrong with an advert.
func (a Advert) Check() error {
	var faults []error
	if len(a.NodeID) == 0 || len(a.NodeID) > maxNodeID {
		faults = append(faults, fmt.Errorf("node id of %d bytes, want 1 to %d", len(a.NodeID), maxNodeID))
	}
	if len(a.Addresses) > maxAddresses {
		faults = append(faults, fmt.Errorf("%d addresses, more than %d", len(a.Addresses), maxAddresses))
	}
	for _, addr := range a.Addresses[:min(len(a.Addresses), maxAddresses)] {
		if _, _, err := net.SplitHostPort(addr); err != nil || len(addr) > maxAddress {
			faults = append(faults, fmt.Errorf("address %q is no host:port", bounded(addr, maxAddress)))
		}
	}
	if len(a.Groups) > maxGroups || slices.ContainsFunc(a.Groups, func(g []byte) bool { return len(g) > maxGroup }) {
		faults = append(faults, fmt.Errorf("want at most %d groups of at most %d bytes", maxGroups, maxGroup))
	}
	if len(a.Record) > maxRecord {
		faults = append(faults, fmt.Errorf("record of %d bytes, more than %d", len(a.Record), maxRecord))
	}
	return errors.Join(faults...)
}

// Announce publishes an advert until the context ends, across restarts of the plugin. It returns early only if the advert
// is not valid or the plugin can never take it.
func (d *Discovery) Announce(ctx context.Context, advert Advert) error {
	if err := advert.Check(); err != nil {
		return d.wrap("announce", err)
	}
	return d.forever(ctx, "announce", func(ctx context.Context, l *live) error {
		stream, err := discoveryv1.NewDiscoveryServiceClient(l.conn).Announce(ctx)
		if err != nil {
			return err
		}
		err = stream.Send(&discoveryv1.AnnounceRequest{Advert: &discoveryv1.Advert{
			NodeId: advert.NodeID, Addresses: advert.Addresses, Groups: advert.Groups, Record: advert.Record,
		}})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for {
			resp, err := stream.Recv()
			if err != nil {
				return err
			}
			places := resp.GetPublishedOn()
			d.log.Debug("advert is published", "on", places[:min(len(places), maxAddresses)])
		}
	})
}

// Watch calls notify with everything the plugin sees until the context ends, across restarts of the plugin. What breaks
// the protocol's bounds is dropped and logged. An error of notify ends Watch, which returns it.
func (d *Discovery) Watch(ctx context.Context, notify func(Sighting) error) error {
	return d.forever(ctx, "watch", func(ctx context.Context, l *live) error {
		stream, err := discoveryv1.NewDiscoveryServiceClient(l.conn).Watch(ctx, &discoveryv1.WatchRequest{})
		if err != nil {
			return err
		}
		for {
			resp, err := stream.Recv()
			if err != nil {
				return err
			}
			sighting, err := readSighting(resp)
			if err != nil {
				d.log.Warn("sighting dropped", "error", err)
				continue
			}
			if err := notify(sighting); err != nil {
				return visitError{err}
			}
		}
	})
}

// forever runs fn again whenever it ends.
func (d *Discovery) forever(ctx context.Context, op string, fn func(ctx context.Context, l *live) error) error {
	for {
		var theirs visitError
		err := d.attempts(ctx, op, 1, func(ctx context.Context, l *live) error {
			err := fn(ctx, l)
			errors.As(err, &theirs)
			return err
		})
		switch {
		case theirs.error != nil:
			return theirs.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrUnknown), errors.Is(err, ErrInvalid), errors.Is(err, errors.ErrUnsupported):
			return err
		case errors.Is(err, ErrDown):
			d.log.Debug("stream ended", "op", op, "error", err)
		default:
			d.log.Warn("stream ended", "op", op, "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(resubscribePause):
		}
	}
}

func readSighting(resp *discoveryv1.WatchResponse) (Sighting, error) {
	in := resp.GetAdvert()
	s := Sighting{
		Advert: Advert{
			NodeID: in.GetNodeId(), Addresses: in.GetAddresses(), Groups: in.GetGroups(), Record: in.GetRecord(),
		},
		Source: bounded(resp.GetSource(), maxSource),
	}
	switch resp.GetEvent() {
	case discoveryv1.Event_EVENT_SYNCED:
		return Sighting{Kind: Synced}, nil
	case discoveryv1.Event_EVENT_LOST:
		s.Kind = Lost
		s.Advert = Advert{NodeID: in.GetNodeId()}
	case discoveryv1.Event_EVENT_SEEN:
		s.Kind = Seen
		s.TTL = min(max(resp.GetTtl().AsDuration(), minLease), maxLease)
	default:
		return Sighting{}, fmt.Errorf("%w: unknown event %v", ErrProtocol, resp.GetEvent())
	}
	if err := s.Advert.Check(); err != nil {
		return Sighting{}, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return s, nil
}
