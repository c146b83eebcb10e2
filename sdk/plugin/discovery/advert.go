package discovery

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
)

// MaxTTL is the longest that a sighting may hold; the adapter shortens what is longer.
const MaxTTL = 24 * time.Hour

// Validate lists how the advert exceeds the bounds of the protocol. Plugins use it on what they hear from a network.
func (a Advert) Validate() error {
	var faults []error
	if n := len(a.NodeID); n == 0 || n > MaxNodeIDBytes {
		faults = append(faults, fmt.Errorf("node id of %d bytes, allowed are 1 to %d", n, MaxNodeIDBytes))
	}
	if n := len(a.Addresses); n > MaxAddresses {
		faults = append(faults, fmt.Errorf("%d addresses, at most %d are allowed", n, MaxAddresses))
	}
	for i, address := range a.Addresses {
		if len(address) > MaxAddressBytes || !utf8.ValidString(address) {
			faults = append(faults, fmt.Errorf("address %d is not UTF-8 of at most %d bytes", i, MaxAddressBytes))
		}
	}
	if n := len(a.Groups); n > MaxGroups {
		faults = append(faults, fmt.Errorf("%d groups, at most %d are allowed", n, MaxGroups))
	}
	for i, group := range a.Groups {
		if len(group) > MaxGroupBytes {
			faults = append(faults, fmt.Errorf("group %d of %d bytes, at most %d are allowed", i, len(group), MaxGroupBytes))
		}
	}
	if n := len(a.Record); n > MaxRecordBytes {
		faults = append(faults, fmt.Errorf("record of %d bytes, at most %d are allowed", n, MaxRecordBytes))
	}
	return errors.Join(faults...)
}

// Validate reports what makes the event one that cannot be passed on.
func (e Event) Validate() error {
	switch e.Kind {
	case Synced:
		return nil
	case Lost:
		return Advert{NodeID: e.Advert.NodeID}.Validate()
	case Seen:
		if e.TTL <= 0 {
			return fmt.Errorf("a sighting with a TTL of %v; it has to be positive", e.TTL)
		}
		return e.Advert.Validate()
	default:
		return fmt.Errorf("event kind %d is unknown", e.Kind)
	}
}

func advertToProto(a Advert) *discoveryv1.Advert {
	return &discoveryv1.Advert{NodeId: a.NodeID, Addresses: a.Addresses, Groups: a.Groups, Record: a.Record}
}

func advertFromProto(p *discoveryv1.Advert) Advert {
	return Advert{NodeID: p.GetNodeId(), Addresses: p.GetAddresses(), Groups: p.GetGroups(), Record: p.GetRecord()}
}

func eventToProto(e Event) *discoveryv1.WatchResponse {
	switch e.Kind {
	case Seen:
		return &discoveryv1.WatchResponse{
			Event:  discoveryv1.Event_EVENT_SEEN,
			Advert: advertToProto(e.Advert),
			Ttl:    durationpb.New(min(e.TTL, MaxTTL)),
			Source: e.Source,
		}
	case Lost:
		return &discoveryv1.WatchResponse{
			Event:  discoveryv1.Event_EVENT_LOST,
			Advert: &discoveryv1.Advert{NodeId: e.Advert.NodeID},
			Source: e.Source,
		}
	default:
		return &discoveryv1.WatchResponse{Event: discoveryv1.Event_EVENT_SYNCED}
	}
}

// eventFromProto refuses what exceeds the bounds, whoever sent it.
func eventFromProto(p *discoveryv1.WatchResponse) (Event, error) {
	kinds := map[discoveryv1.Event]EventKind{
		discoveryv1.Event_EVENT_SEEN:   Seen,
		discoveryv1.Event_EVENT_LOST:   Lost,
		discoveryv1.Event_EVENT_SYNCED: Synced,
	}
	e := Event{
		Kind:   kinds[p.GetEvent()],
		Advert: advertFromProto(p.GetAdvert()),
		TTL:    min(p.GetTtl().AsDuration(), MaxTTL),
		Source: p.GetSource(),
	}
	return e, e.Validate()
}
