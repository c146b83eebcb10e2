package discoverymdns

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// maxNodes bounds the nodes in the table. Those already there stay; new ones wait for room.
const maxNodes = 1024

// table holds who was seen on which link, and until when that holds. It is not safe for concurrent use.
type table struct {
	nodes map[string]*node
	// dirty are the ids whose state has changed since the last call of changes.
	dirty map[string]struct{}
	// refused counts the sightings for which there was no room.
	refused uint64
}

type node struct {
	// seen holds one sighting a link; it is never empty.
	seen map[int]*sighting
	// reported is when the node was last marked dirty.
	reported time.Time
}

type sighting struct {
	instance string
	link     string
	advert   discovery.Advert
	heard    time.Time
	expires  time.Time
}

// change is the new state of a node; it is lost if there is no event.
type change struct {
	id      string
	seen    bool
	advert  discovery.Advert
	source  string
	expires time.Time
}

func newTable() *table {
	return &table{nodes: make(map[string]*node), dirty: make(map[string]struct{})}
}

// see notes a sighting. An unchanged advert counts as a change only once per half of a quiet period, so that a noisy
// neighbour does not make noise here.
func (t *table) see(now time.Time, on link, instance string, advert discovery.Advert, lease time.Duration) {
	id := string(advert.NodeID)
	n := t.nodes[id]
	if n == nil {
		if len(t.nodes) >= maxNodes {
			t.refused++
			return
		}
		n = &node{seen: make(map[int]*sighting)}
		t.nodes[id] = n
	}
	old := n.seen[on.index]
	n.seen[on.index] = &sighting{instance: instance, link: on.name, advert: advert, heard: now, expires: now.Add(lease)}
	if old == nil || !equalAdverts(old.advert, advert) || now.Sub(n.reported) >= lease/(2*leaseIntervals) {
		t.mark(now, id, n)
	}
}

// lose forgets a sighting at once.
func (t *table) lose(now time.Time, on link, id string) {
	n := t.nodes[id]
	if n == nil || n.seen[on.index] == nil {
		return
	}
	delete(n.seen, on.index)
	t.mark(now, id, n)
}

func (t *table) mark(now time.Time, id string, n *node) {
	n.reported = now
	t.dirty[id] = struct{}{}
	if len(n.seen) == 0 {
		delete(t.nodes, id)
	}
}

// expire forgets the sightings whose time is over.
func (t *table) expire(now time.Time) {
	for id, n := range t.nodes {
		before := len(n.seen)
		for index, s := range n.seen {
			if !now.Before(s.expires) {
				delete(n.seen, index)
			}
		}
		if len(n.seen) != before {
			t.mark(now, id, n)
		}
	}
}

// forget drops what was seen of a node, without a word to anybody if it was not known.
func (t *table) forget(now time.Time, id string) {
	if n := t.nodes[id]; n != nil {
		clear(n.seen)
		t.mark(now, id, n)
	}
}

// nextExpiry is when the first sighting on any link ends; zero when there is none.
func (t *table) nextExpiry() time.Time {
	var first time.Time
	for _, n := range t.nodes {
		for _, s := range n.seen {
			if first.IsZero() || s.expires.Before(first) {
				first = s.expires
			}
		}
	}
	return first
}

// firstExpiryOn is nextExpiry for one link.
func (t *table) firstExpiryOn(index int) time.Time {
	var first time.Time
	for _, n := range t.nodes {
		if s := n.seen[index]; s != nil && (first.IsZero() || s.expires.Before(first)) {
			first = s.expires
		}
	}
	return first
}

// known lists the instances on a link that have more than half of their time left, those with the most first.
func (t *table) known(now time.Time, index int) []knownAnswer {
	var out []knownAnswer
	for _, n := range t.nodes {
		if s := n.seen[index]; s != nil && s.fresh(now) {
			out = append(out, knownAnswer{instance: s.instance, ttl: seconds(s.expires.Sub(now))})
		}
	}
	slices.SortFunc(out, func(a, b knownAnswer) int {
		return cmp.Or(cmp.Compare(b.ttl, a.ttl), cmp.Compare(a.instance, b.instance))
	})
	return out
}

func (s *sighting) fresh(now time.Time) bool {
	return s.expires.Sub(now) > s.expires.Sub(s.heard)/2
}

// changes returns what has changed since the last call, in the order of the ids.
func (t *table) changes() []change {
	if len(t.dirty) == 0 {
		return nil
	}
	out := make([]change, 0, len(t.dirty))
	for id := range t.dirty {
		out = append(out, t.current(id))
	}
	clear(t.dirty)
	slices.SortFunc(out, func(a, b change) int { return cmp.Compare(a.id, b.id) })
	return out
}

// current merges what was seen of a node on all links: the newest advert, with the addresses of all of them.
func (t *table) current(id string) change {
	n := t.nodes[id]
	if n == nil {
		return change{id: id}
	}
	out := change{id: id, seen: true}
	var newest *sighting
	var addresses []string
	for _, index := range slices.Sorted(maps.Keys(n.seen)) {
		s := n.seen[index]
		if newest == nil || s.heard.After(newest.heard) {
			newest = s
		}
		if s.expires.After(out.expires) {
			out.expires = s.expires
		}
		for _, address := range s.advert.Addresses {
			if len(addresses) < discovery.MaxAddresses && !slices.Contains(addresses, address) {
				addresses = append(addresses, address)
			}
		}
	}
	out.advert, out.source = newest.advert, newest.link
	out.advert.Addresses = addresses
	return out
}

func equalAdverts(a, b discovery.Advert) bool {
	return string(a.NodeID) == string(b.NodeID) && string(a.Record) == string(b.Record) &&
		slices.Equal(a.Addresses, b.Addresses) &&
		slices.EqualFunc(a.Groups, b.Groups, func(x, y []byte) bool { return string(x) == string(y) })
}

// seconds is a duration as records have it: whole, at least one.
func seconds(d time.Duration) uint32 {
	return uint32(max(1, (d+time.Second-1)/time.Second))
}
