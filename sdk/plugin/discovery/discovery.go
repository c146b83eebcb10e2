// Package discovery is for authors of discovery plugins, which tell other nodes where this one can be reached and report
// where others can be.
//
// What a plugin reports is a proposal of addresses and nothing more: the host finds out by mutual TLS who answers there,
// and forgets a sighting by itself when its time is over. So a plugin may lose, repeat and delay reports; it must only
// not make them up.
//
// Implement [Plugin], pass its factory to [Kind] and that to plugin.Main; package discoverytest checks the result.
package discovery

import (
	"context"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
)

// Plugin is what an author implements. Its methods are called concurrently with each other; Announce never runs twice at
// the same time.
type Plugin interface {
	// Announce publishes the advert until ctx ends, then withdraws it as well as the medium allows and returns. A changed
	// advert comes as a new call after the old one has returned. It calls published, never concurrently with itself,
	// whenever it knows better where the advert can be seen: interface names, a server's name. When it cannot announce
	// for the moment it keeps trying; an error means that it has given up on this advert.
	Announce(ctx context.Context, advert Advert, published func(where []string)) error

	// Watch reports every known advert as Seen, then Synced once, then Seen and Lost as things change, until ctx ends.
	// A lease that is still good is reported again before its TTL is over. The function report is not safe for
	// concurrent use; it drops and logs events that exceed the bounds of this package, and when it fails the watch is
	// over and Watch returns its error. Several watches may run at once.
	Watch(ctx context.Context, report func(Event) error) error
}

// Factory makes the author's implementation from an instance's setup. The context ends when the factory returns.
type Factory func(ctx context.Context, setup plugin.Setup) (Plugin, error)

// Advert is what a node tells about itself.
type Advert struct {
	// NodeID is the opaque name of the node, 1 to 64 bytes.
	NodeID []byte
	// Addresses are "host:port"; an empty host asks the plugin to fill in the addresses of the interfaces it uses.
	Addresses []string
	// Groups are the blinded names of syncgroups.
	Groups [][]byte
	// Record is carried blindly.
	Record []byte
}

// Bounds of an advert. What exceeds them is passed on in neither direction.
const (
	MaxNodeIDBytes  = 64
	MaxAddresses    = 16
	MaxAddressBytes = 261
	MaxGroups       = 16
	MaxGroupBytes   = 16
	MaxRecordBytes  = 512
)

// Event is something that Watch reports.
type Event struct {
	Kind EventKind
	// Advert is empty with Synced; with Lost only its NodeID counts.
	Advert Advert
	// TTL is how long a sighting holds unless it is repeated. It must be positive with Seen.
	TTL time.Duration
	// Source says where it was seen, for people: an interface name, a server's name. May be empty.
	Source string
}

// EventKind tells the events of a watch apart.
type EventKind int

const (
	// Seen reports an advert that is new, changed or still good.
	Seen EventKind = iota + 1
	// Lost reports that an advert was withdrawn or has expired.
	Lost
	// Synced reports, once, that everything known at the start of the watch has been reported.
	Synced
)
