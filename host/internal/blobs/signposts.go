package blobs

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// MaxLocations bounds the locations kept for a blob.
const MaxLocations = 8

// Location says that a device is likely to have a blob.
type Location struct {
	Device id.Device
	// Seen is when that was learned, to the millisecond, by the clock of this device.
	Seen time.Time
	// Server tells that the device takes and keeps blobs by itself.
	Server bool
}

// compare puts the better location first. It is a total order over different devices.
func (l Location) compare(o Location) int {
	if l.Server != o.Server {
		if l.Server {
			return -1
		}
		return 1
	}
	return cmp.Or(o.Seen.Compare(l.Seen), bytes.Compare(l.Device[:], o.Device[:]))
}

// MarkLocation adds a location to the blob's signpost as part of the batch. Of two sightings of one device the later counts;
// the worst locations make room when there are too many.
func (s *Store) MarkLocation(b *kv.Batch, ref chunk.Ref, l Location) error {
	l.Seen = time.UnixMilli(l.Seen.UnixMilli())
	known, err := s.Locations(ref)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(known, func(k Location) bool { return k.Device == l.Device }); i >= 0 {
		if !known[i].Seen.Before(l.Seen) {
			return nil
		}
		known = slices.Delete(known, i, i+1)
	}
	at, _ := slices.BinarySearchFunc(known, l, Location.compare)
	known = slices.Insert(known, at, l)
	if at < MaxLocations {
		b.Set(signpostKey(ref, l.Device), l.encode())
	}
	for _, worst := range known[min(len(known), MaxLocations):] {
		b.Delete(signpostKey(ref, worst.Device))
	}
	return nil
}

// MarkLocationNow is MarkLocation in a batch of its own. A crash may lose it.
func (s *Store) MarkLocationNow(ref chunk.Ref, l Location) error {
	b := s.kv.NewBatch()
	if err := s.MarkLocation(b, ref, l); err != nil {
		b.Discard()
		return err
	}
	return b.Commit(kv.NoSync)
}

// Locations returns the blob's signpost, the best location first.
func (s *Store) Locations(ref chunk.Ref) ([]Location, error) {
	var all []Location
	err := s.scan(hashKey(spaceSignpost, ref), func(key, value []byte) error {
		l, err := decodeLocation(key, value)
		all = append(all, l)
		return err
	})
	slices.SortFunc(all, Location.compare)
	return all, err
}
