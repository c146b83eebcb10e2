package host

import (
	"context"

	"github.com/syncbase/syncbase/host/internal/discover"
	"github.com/syncbase/syncbase/host/internal/plug"
)

// viaDiscovery is the source of addresses that discovery plugins report.
const viaDiscovery = "discovery"

// runDiscovery announces this daemon through every discovery plugin and listens for others.
func (h *Host) runDiscovery(ctx context.Context) error {
	sources := map[string]discover.Source{}
	for _, name := range h.opts.Config.Discovery {
		sources[name] = discoverySource{h.plugins.Discovery(name)}
	}
	d, err := discover.New(discover.Options{
		Device:    h.rows.Writer().Device,
		Name:      h.opts.Config.Node.Name,
		Addresses: h.PeerAddresses()[:min(len(h.PeerAddresses()), discover.MaxAddresses)],
		Sources:   sources,
		Listener: discover.Listener{
			Found: func(n discover.Node) {
				if err := h.peers.AddAddress(viaDiscovery, n.Addresses...); err != nil {
					h.log.Debug("sighting of no use", "node", n.Name, "error", err)
				}
			},
			Lost: func(n discover.Node) { h.peers.RemoveAddress(viaDiscovery, n.Addresses...) },
		},
		Log: h.log.Named("discover"),
	})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// discoverySource is a plugin as package discover wants it.
type discoverySource struct{ plugin *plug.Discovery }

func (s discoverySource) Announce(ctx context.Context, advert discover.Advert) error {
	return s.plugin.Announce(ctx, plug.Advert{NodeID: advert.NodeID, Addresses: advert.Addresses, Record: advert.Record})
}

func (s discoverySource) Watch(ctx context.Context, notify func(discover.Sighting) error) error {
	return s.plugin.Watch(ctx, func(seen plug.Sighting) error {
		return notify(discover.Sighting{
			Kind: sightingKind(seen.Kind),
			Advert: discover.Advert{
				NodeID: seen.Advert.NodeID, Addresses: seen.Advert.Addresses, Record: seen.Advert.Record,
			},
			TTL: seen.TTL,
		})
	})
}

func sightingKind(k plug.SightingKind) discover.Kind {
	switch k {
	case plug.Seen:
		return discover.Seen
	case plug.Lost:
		return discover.Lost
	}
	return discover.Synced
}
