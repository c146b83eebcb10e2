package discovery_test

import (
	"context"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// config names the nodes that are always there.
type config struct {
	Nodes map[string][]string `json:"nodes" doc:"Addresses of every node, by the node's id."`
}

// fixed is a discovery plugin that knows its nodes from its configuration.
type fixed struct{ config }

const lease = time.Minute

func (f fixed) Announce(ctx context.Context, _ discovery.Advert, _ func([]string)) error {
	<-ctx.Done() // there is nobody to tell
	return nil
}

func (f fixed) Watch(ctx context.Context, report func(discovery.Event) error) error {
	repeat := time.NewTicker(lease / 3)
	defer repeat.Stop()
	for first := true; ; first = false {
		for id, addresses := range f.Nodes {
			advert := discovery.Advert{NodeID: []byte(id), Addresses: addresses}
			if err := report(discovery.Event{Kind: discovery.Seen, Advert: advert, TTL: lease}); err != nil {
				return err
			}
		}
		if first {
			if err := report(discovery.Event{Kind: discovery.Synced}); err != nil {
				return err
			}
		}
		select {
		case <-repeat.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// The whole main function of a discovery plugin.
func Example() {
	open := func(_ context.Context, setup plugin.Setup) (discovery.Plugin, error) {
		var f fixed
		return f, setup.Decode(&f.config)
	}
	plugin.Main("discovery-fixed", "1.0", discovery.Kind(open).WithConfig(config{}))
}
