package discover

import (
	"bytes"
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/syncbase/syncbase/host/internal/id"
)

// sightings is the pure core: it is fed sightings with the time and answers what has changed. It is not safe for
// concurrent use.
type sightings struct {
	own   id.Device
	nodes map[id.Device]*node
	// counts has the number of nodes of each source, which MaxNodes bounds.
	counts map[string]int
	// claims has the number of nodes that are announced at an address.
	claims map[string]int
}

// node is what is known of one device; it has at least one lease.
type node struct {
	// leases are by the name of the source.
	leases map[string]lease
	// shown is the node as it was last reported.
	shown Node
}

// lease is a sighting by one source.
type lease struct {
	name      string
	addresses []string
	heard     time.Time
	expires   time.Time
}

// change is something to report.
type change struct {
	// lost tells a Lost from a Found.
	lost bool
	node Node
}

func newSightings(own id.Device) *sightings {
	return &sightings{
		own:    own,
		nodes:  make(map[id.Device]*node),
		counts: make(map[string]int),
		claims: make(map[string]int),
	}
}

// handle takes in what a source reports.
func (s *sightings) handle(now time.Time, source string, in Sighting) []change {
	if len(in.Advert.NodeID) != len(id.Device{}) {
		return nil
	}
	device := id.Device(in.Advert.NodeID)
	if device == s.own {
		return nil
	}
	switch in.Kind {
	case Seen:
		return s.seen(now, source, device, in)
	case Lost:
		return s.lost(source, device)
	default:
		return nil
	}
}

func (s *sightings) seen(now time.Time, source string, device id.Device, in Sighting) []change {
	n := s.nodes[device]
	if n == nil {
		n = &node{leases: make(map[string]lease), shown: Node{Device: device}}
	}
	if _, known := n.leases[source]; !known {
		if s.counts[source] >= MaxNodes {
			return nil
		}
		s.counts[source]++
	}
	s.nodes[device] = n
	n.leases[source] = lease{
		name:      cleanName(in.Advert.Record),
		addresses: cleanAddresses(in.Advert.Addresses),
		heard:     now,
		expires:   now.Add(min(max(in.TTL, minLease), maxLease)),
	}
	return s.show(n)
}

func (s *sightings) lost(source string, device id.Device) []change {
	n := s.nodes[device]
	if n == nil {
		return nil
	}
	if _, known := n.leases[source]; !known {
		return nil
	}
	s.drop(n, source)
	return s.show(n)
}

func (s *sightings) drop(n *node, source string) {
	delete(n.leases, source)
	if s.counts[source]--; s.counts[source] == 0 {
		delete(s.counts, source)
	}
	if len(n.leases) == 0 {
		delete(s.nodes, n.shown.Device)
	}
}

// expire ends the leases whose time is over.
func (s *sightings) expire(now time.Time) []change {
	var out []change
	for _, device := range s.devices() {
		n := s.nodes[device]
		before := len(n.leases)
		for source, l := range n.leases {
			if !now.Before(l.expires) {
				s.drop(n, source)
			}
		}
		if len(n.leases) < before {
			out = append(out, s.show(n)...)
		}
	}
	return out
}

// next is when the first lease ends.
func (s *sightings) next() (time.Time, bool) {
	var first time.Time
	for _, n := range s.nodes {
		for _, l := range n.leases {
			if first.IsZero() || l.expires.Before(first) {
				first = l.expires
			}
		}
	}
	return first, !first.IsZero()
}

// all returns every node, in the order of devices.
func (s *sightings) all() []Node {
	out := make([]Node, 0, len(s.nodes))
	for _, device := range s.devices() {
		out = append(out, s.nodes[device].shown)
	}
	return out
}

func (s *sightings) devices() []id.Device {
	return slices.SortedFunc(maps.Keys(s.nodes), func(a, b id.Device) int { return bytes.Compare(a[:], b[:]) })
}

// show compares a node with what was last reported of it, and returns the difference.
func (s *sightings) show(n *node) []change {
	old, now := n.shown, n.merged()
	n.shown = now
	for _, a := range now.Addresses {
		if !slices.Contains(old.Addresses, a) {
			s.claims[a]++
		}
	}
	var vanished []string
	for _, a := range old.Addresses {
		if slices.Contains(now.Addresses, a) {
			continue
		}
		if s.claims[a]--; s.claims[a] == 0 {
			delete(s.claims, a)
			vanished = append(vanished, a)
		}
	}
	var out []change
	same := old.Name == now.Name && slices.Equal(old.Addresses, now.Addresses) && slices.Equal(old.Sources, now.Sources)
	if !same && len(now.Sources) > 0 {
		out = append(out, change{node: now})
	}
	if len(vanished) > 0 || len(now.Sources) == 0 {
		out = append(out, change{lost: true, node: Node{
			Device: now.Device, Name: cmp.Or(now.Name, old.Name), Addresses: vanished, Sources: now.Sources,
		}})
	}
	return out
}

// merged puts the leases together: the name from the newest, the addresses of all in the order of the sources.
func (n *node) merged() Node {
	out := Node{Device: n.shown.Device, Sources: slices.Sorted(maps.Keys(n.leases))}
	var newest time.Time
	for _, source := range out.Sources {
		l := n.leases[source]
		if l.name != "" && (newest.IsZero() || l.heard.After(newest)) {
			out.Name, newest = l.name, l.heard
		}
		for _, a := range l.addresses {
			if !slices.Contains(out.Addresses, a) {
				out.Addresses = append(out.Addresses, a)
			}
		}
	}
	return out
}

// cleanAddresses keeps what can be dialed, at most MaxAddresses of it.
func cleanAddresses(in []string) []string {
	var out []string
	for _, a := range in {
		if len(out) < MaxAddresses && isAddress(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func isAddress(a string) bool {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || !isPrintable(a) {
		return false
	}
	if ip := net.ParseIP(host); ip != nil && (ip.IsUnspecified() || ip.IsMulticast()) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func isPrintable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// cleanName makes a record fit to be shown to people.
func cleanName(record []byte) string {
	if len(record) > MaxNameBytes {
		record = record[:MaxNameBytes]
		for len(record) > 0 && !utf8.Valid(record) {
			record = record[:len(record)-1]
		}
	}
	if name := string(record); isPrintable(name) {
		return name
	}
	return ""
}
