package blobstorefs

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// ledger counts what a store holds. Counting what is there already goes on in the background after Open; until it is
// done, usage waits, and so does a put when there is a limit.
type ledger struct {
	// turn holds a token; who has it owns the fields below. Unlike a mutex it can be waited for with a context.
	turn     chan struct{}
	objects  int64
	bytes    int64
	reserved int64 // by puts under way
	max      uint64
	fault    error // of counting

	// counted is closed when everything is counted or counting has failed.
	counted chan struct{}
}

func newLedger(limit uint64) *ledger {
	return &ledger{turn: make(chan struct{}, 1), counted: make(chan struct{}), max: limit}
}

func (l *ledger) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *ledger) give() { <-l.turn }

// add changes the counts, unless counting will come to the shard later. The caller holds the shard's lock.
func (l *ledger) add(sh *shard, objects, bytes int64) {
	if !sh.counted {
		return
	}
	l.turn <- struct{}{} // held only for moments
	defer l.give()
	l.objects += objects
	l.bytes += bytes
}

func (l *ledger) finish() { close(l.counted) }

func (l *ledger) fail(err error) {
	l.turn <- struct{}{}
	l.fault = err
	l.give()
	close(l.counted)
}

// takeCounted is take after everything was counted.
func (l *ledger) takeCounted(ctx context.Context) error {
	select {
	case <-l.counted:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.take(ctx); err != nil {
		return err
	}
	if l.fault != nil {
		l.give()
		return fmt.Errorf("the objects could not be counted: %w", l.fault)
	}
	return nil
}

// reserve sets space aside for a put, which has to call release when it is over.
func (l *ledger) reserve(ctx context.Context, size int64) (release func(), err error) {
	if err := l.take(ctx); err != nil {
		return nil, err
	}
	limited := l.max > 0
	l.give()
	if !limited {
		return func() {}, nil
	}
	if err := l.takeCounted(ctx); err != nil {
		return nil, err
	}
	defer l.give()
	if used := uint64(l.bytes + l.reserved); used+uint64(size) > l.max {
		return nil, fmt.Errorf("%w: %d bytes of %d are in use and %d more do not fit", blobstore.ErrFull, used, l.max, size)
	}
	l.reserved += size
	return func() {
		l.turn <- struct{}{}
		l.reserved -= size
		l.give()
	}, nil
}

func (l *ledger) limit(ctx context.Context, limit uint64) error {
	if err := l.take(ctx); err != nil {
		return err
	}
	defer l.give()
	l.max = limit
	return nil
}

// Usage implements blobstore.Store.
func (s *Store) Usage(ctx context.Context) (blobstore.Usage, error) {
	if err := s.ledger.takeCounted(ctx); err != nil {
		return blobstore.Usage{}, err
	}
	defer s.ledger.give()
	l := s.ledger
	usage := blobstore.Usage{Objects: uint64(l.objects), Bytes: uint64(l.bytes), Available: blobstore.Unknown}
	if free, err := freeBytes(s.root); err == nil {
		usage.Available = free
	}
	if l.max > 0 {
		left := max(int64(l.max)-l.bytes, 0)
		if usage.Available == blobstore.Unknown || left < usage.Available {
			usage.Available = left
		}
	}
	return usage, nil
}
