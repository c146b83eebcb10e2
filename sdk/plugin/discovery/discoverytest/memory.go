package discoverytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// Memory is a medium within one process: every plugin made by its Kind sees the adverts of all others. The zero value is
// ready for use.
type Memory struct {
	mu sync.Mutex // guards the fields below
	// adverts by node id, each with the plugin that announces it.
	adverts map[string]sighting
	// changed is closed and replaced with every change.
	changed chan struct{}
}

type sighting struct {
	advert discovery.Advert
	by     *memoryPlugin
	// version tells adverts of one node apart.
	version uint64
}

// memoryTTL is long, since nothing gets lost here.
const memoryTTL = time.Hour

// Kind makes plugins on this medium.
func (m *Memory) Kind() plugin.Kind {
	return discovery.Kind(func(context.Context, plugin.Setup) (discovery.Plugin, error) {
		return &memoryPlugin{medium: m}, nil
	})
}

type memoryPlugin struct{ medium *Memory }

// change runs f on the adverts and wakes all watchers.
func (m *Memory) change(f func(adverts map[string]sighting)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.adverts == nil {
		m.adverts = map[string]sighting{}
	}
	f(m.adverts)
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// snapshot answers what there is, and a channel that is closed when that changes.
func (m *Memory) snapshot() (map[string]sighting, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return maps.Clone(m.adverts), m.changed
}

// Announce implements discovery.Plugin.
func (p *memoryPlugin) Announce(ctx context.Context, advert discovery.Advert, published func([]string)) error {
	id := string(advert.NodeID)
	p.medium.change(func(adverts map[string]sighting) {
		adverts[id] = sighting{advert: advert, by: p, version: adverts[id].version + 1}
	})
	published([]string{"memory"})
	<-ctx.Done()
	p.medium.change(func(adverts map[string]sighting) {
		if adverts[id].by == p {
			delete(adverts, id)
		}
	})
	return nil
}

// Watch implements discovery.Plugin.
func (p *memoryPlugin) Watch(ctx context.Context, report func(discovery.Event) error) error {
	known := map[string]sighting{}
	for first := true; ; first = false {
		now, changed := p.medium.snapshot()
		if err := p.reportChanges(known, now, report); err != nil {
			return err
		}
		if first {
			if err := report(discovery.Event{Kind: discovery.Synced}); err != nil {
				return err
			}
		}
		known = now
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *memoryPlugin) reportChanges(known, now map[string]sighting, report func(discovery.Event) error) error {
	for _, id := range slices.Sorted(maps.Keys(now)) {
		s := now[id]
		if s.by == p || known[id].advert.NodeID != nil && known[id].version == s.version {
			continue
		}
		if err := report(discovery.Event{Kind: discovery.Seen, Advert: s.advert, TTL: memoryTTL, Source: "memory"}); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if _, there := now[id]; there || known[id].by == p {
			continue
		}
		lost := discovery.Advert{NodeID: []byte(id)}
		if err := report(discovery.Event{Kind: discovery.Lost, Advert: lost, Source: "memory"}); err != nil {
			return err
		}
	}
	return nil
}
