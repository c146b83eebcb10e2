package rows

import (
	"context"
	"fmt"
	"sort"
	"sync"
)

// Bounds of what a database keeps decoded for its subscribers, and of what one that lags behind reads at a time.
const (
	tailBatches  = 4096
	tailBytes    = 8 << 20
	chunkBatches = 256
	chunkBytes   = 1 << 20
)

// tail is the newest part of a database's log, decoded once for all subscribers: what they would read one by one costs one
// reading, done by whichever of them comes first. It has no goroutine.
type tail struct {
	// mu guards the fields below it. It is held while the log is read, so that one reads and the others find it done.
	mu          sync.Mutex
	subscribers int
	// ring has the batches with changes after start up to end, in order.
	ring       []Batch
	start, end uint64
	bytes      int
	// maxBatches and maxBytes bound the ring.
	maxBatches, maxBytes int
}

// Subscription follows the log of a database from a marker on: each durable batch once, in order, without a gap. Batches
// are shared with other subscriptions and not to be changed. One goroutine at a time may call Next.
type Subscription struct {
	db  *DB
	pos uint64
	// reader holds back the reclaiming of what was not read yet, within limits.
	reader *reader
	// ahead are batches that this subscription read for itself because it lagged behind the tail.
	ahead  []Batch
	closed sync.Once
}

// Subscribe follows the log after the marker. The caller must Close the subscription. Errors: ErrMarker, ErrMarkerTooOld,
// ErrDestroyed.
func (db *DB) Subscribe(after uint64) (*Subscription, error) {
	if err := db.Err(); err != nil {
		return nil, err
	}
	if end := db.Published().Seq; after > end {
		return nil, fmt.Errorf("%w: %d lies beyond the end of the log, %d", ErrMarker, after, end)
	}
	reader := db.readers.enter(after)
	if err := db.tooOld(after, nil); err != nil {
		db.readers.leave(reader)
		return nil, err
	}
	db.tail.mu.Lock()
	defer db.tail.mu.Unlock()
	db.tail.subscribers++
	return &Subscription{db: db, pos: after, reader: reader}, nil
}

// Close ends the subscription. It may be called more than once, and while Next waits, which then goes on waiting for its
// context.
func (s *Subscription) Close() {
	s.closed.Do(func() {
		s.db.readers.leave(s.reader)
		t := &s.db.tail
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.subscribers--; t.subscribers == 0 {
			t.ring, t.bytes, t.start = nil, 0, t.end
		}
	})
}

// Marker is where the subscription stands: everything up to it has been returned by Next or has no change of a row. One
// that follows the marker gets what Next would return.
func (s *Subscription) Marker() uint64 { return s.pos }

// Next waits for the next batch. Errors: ErrMarkerTooOld when the subscription read so slowly that the log was reclaimed
// before it came there, ErrDestroyed, and that of ctx.
func (s *Subscription) Next(ctx context.Context) (Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		s.reader.pos.Store(s.pos)
		if len(s.ahead) > 0 {
			b := s.ahead[0]
			s.ahead, s.pos = s.ahead[1:], b.Seq
			return b, nil
		}
		published, more := s.db.More()
		if s.pos >= published.Seq {
			if err := s.db.Err(); err != nil {
				return Batch{}, err
			}
			select {
			case <-more:
			case <-ctx.Done():
			}
			continue
		}
		b, found, err := s.db.tail.next(s, published.Seq)
		if err != nil {
			// What is read of a database that is being destroyed may miss parts.
			return Batch{}, first(s.db.Err(), err)
		}
		if found {
			return b, nil
		}
	}
}

// next returns the batch after the subscription's position, or brings it nearer to the end of the log.
func (t *tail) next(s *Subscription, end uint64) (b Batch, found bool, err error) {
	t.mu.Lock()
	if s.pos < t.start {
		t.mu.Unlock()
		return Batch{}, false, s.catchUp()
	}
	defer t.mu.Unlock()
	if s.pos > t.end {
		// Nobody has followed the log for a while: the tail begins here.
		t.ring, t.bytes, t.start, t.end = nil, 0, s.pos, s.pos
	}
	if s.pos == t.end && t.end < end {
		if err := t.grow(s.db); err != nil {
			return Batch{}, false, err
		}
		if s.pos < t.start {
			return Batch{}, false, nil // more than the ring holds: the next turn catches up
		}
	}
	i := sort.Search(len(t.ring), func(i int) bool { return t.ring[i].Seq > s.pos })
	if i == len(t.ring) {
		s.pos = max(s.pos, t.end)
		return Batch{}, false, nil
	}
	s.pos = t.ring[i].Seq
	return t.ring[i], true, nil
}

// catchUp reads a part of the log for a subscription that lies behind the tail.
func (s *Subscription) catchUp() error {
	batches, end, _, err := s.db.readChunk(s.pos)
	if err == nil && len(batches) == 0 {
		s.pos = end
	}
	s.ahead = batches
	return err
}

// grow reads the next part of the log into the ring and drops the oldest batches beyond its bounds. Called with mu held.
func (t *tail) grow(db *DB) error {
	batches, end, size, err := db.readChunk(t.end)
	if err != nil {
		return err
	}
	t.ring, t.end, t.bytes = append(t.ring, batches...), end, t.bytes+size
	drop := 0
	for len(t.ring)-drop > t.maxBatches || t.bytes > t.maxBytes && drop < len(t.ring) {
		t.bytes -= t.ring[drop].size()
		t.start = t.ring[drop].Seq
		drop++
	}
	clear(t.ring[:drop])
	t.ring = t.ring[drop:]
	return nil
}

// readChunk reads some batches after the marker, and returns where the log goes on after them and how large they are.
func (db *DB) readChunk(after uint64) (batches []Batch, end uint64, size int, err error) {
	end, err = db.ReadLog(after, nil, func(b Batch) (bool, error) {
		batches = append(batches, b)
		size += b.size()
		return len(batches) < chunkBatches && size < chunkBytes, nil
	})
	return batches, end, size, err
}

// size is about what a batch takes in memory.
func (b *Batch) size() int {
	n := 64
	for i := range b.Changes {
		ch := &b.Changes[i]
		n += 160 + len(ch.Key) + len(ch.Value) + len(ch.Type)
	}
	return n
}
