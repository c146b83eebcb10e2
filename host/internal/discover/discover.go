// Package discover keeps track of the nodes that discovery plugins see, and has the plugins tell of this one.
//
// A sighting is a lease: it ends by itself unless it is repeated, so a plugin that dies leaves no ghosts, and one that is
// restarted merely repeats itself. Several plugins may see one node; it is lost when none of them sees it any more. What
// they report is a proposal: nothing here has been verified, nothing is dialed, and the number of nodes and of addresses
// is bounded. The node itself is never reported.
//
// The package knows neither plugins nor sessions: a [Source] is where sightings come from, a [Listener] is who acts on
// them.
//
// Read [Options] and [Node] first; sightings, in sightings.go, is the pure core, and Run, in run.go, its driver.
package discover

import (
	"context"
	"errors"
	"fmt"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Source is a discovery plugin. Both methods go on until ctx ends and get over restarts of the plugin by themselves; an
// earlier return means that the plugin will never do it.
type Source interface {
	Announce(ctx context.Context, advert Advert) error
	// Watch calls notify for everything the plugin sees, never concurrently with itself. An error of notify ends it.
	Watch(ctx context.Context, notify func(Sighting) error) error
}

// Advert is what a node says of itself.
type Advert struct {
	// NodeID is the device, 8 bytes; adverts with another id are not of our kind and are left alone.
	NodeID []byte
	// Addresses are "host:port". In the own advert an empty host stands for the addresses of this machine.
	Addresses []string
	// Record is the name of the node, for people.
	Record []byte
}

// Sighting is what a source reports.
type Sighting struct {
	Kind Kind
	// Advert has only its NodeID with Lost, and nothing with Synced.
	Advert Advert
	// TTL is how long a sighting holds unless it is repeated.
	TTL time.Duration
}

// Kind says what a Sighting means.
type Kind uint8

const (
	// Seen reports a node that is new, has changed, or is still there.
	Seen Kind = iota + 1
	// Lost reports that the source does not see a node any more.
	Lost
	// Synced reports that everything known at the start of a watch has been reported.
	Synced
)

// Node is a node as its sightings describe it.
type Node struct {
	Device id.Device
	// Name is what the node calls itself: at most MaxNameBytes of printable UTF-8; may be empty.
	Name      string
	Addresses []string
	// Sources are the names of those who see it, in order.
	Sources []string
}

// Listener hears of changes. Its functions are called one after the other from one goroutine and must not block for
// long; nil ones are not called.
type Listener struct {
	// Found reports a node that is new or whose name, addresses or sources have changed, with all that is known of it.
	Found func(Node)
	// Lost reports, in Addresses, where a node is not to be found any more and no other node is either. Without sources
	// the node is gone altogether. When a node moves, Found comes first.
	Lost func(Node)
}

// Bounds of what is kept.
const (
	// MaxNodes bounds the nodes that one source may report; more are not taken until others are lost.
	MaxNodes = 1024
	// MaxAddresses bounds the addresses of one sighting.
	MaxAddresses = 16
	// MaxNameBytes bounds the name of a node; longer ones are cut.
	MaxNameBytes = 128

	// minLease and maxLease bound how long a sighting holds, whatever the source says.
	minLease = time.Second
	maxLease = 24 * time.Hour
)

// Options say what to discover and how.
type Options struct {
	// Device is this node.
	Device id.Device
	// Name is what this node calls itself.
	Name string
	// Addresses are where this node listens for peers; without any it announces nothing.
	Addresses []string
	// Sources are the discovery plugins by their names in the configuration.
	Sources  map[string]Source
	Listener Listener
	// Log is by default silent.
	Log hclog.Logger
}

// Validate lists all faults.
func (o Options) Validate() error {
	var faults []error
	if o.Device == (id.Device{}) {
		faults = append(faults, errors.New("discover: Device is missing"))
	}
	if n := len(o.Addresses); n > MaxAddresses {
		faults = append(faults, fmt.Errorf("discover: %d addresses; at most %d can be announced", n, MaxAddresses))
	}
	for name, source := range o.Sources {
		if source == nil {
			faults = append(faults, fmt.Errorf("discover: source %q is nil", name))
		}
	}
	return errors.Join(faults...)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Listener.Found == nil {
		o.Listener.Found = func(Node) {}
	}
	if o.Listener.Lost == nil {
		o.Listener.Lost = func(Node) {}
	}
	return o
}
