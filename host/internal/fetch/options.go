package fetch

import (
	"context"
	"errors"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/sched"
)

// Sentinels that callers branch on.
var (
	// ErrNotHeld is to be wrapped by a Source when the peer does not have the blob or does not give it.
	ErrNotHeld = errors.New("peer does not hold the blob")
	// ErrNotWanted means that nobody asked for the blob.
	ErrNotWanted = errors.New("blob is not wanted")
	// ErrCancelled means that the wish for the blob was cancelled.
	ErrCancelled = errors.New("fetch was cancelled")
	// ErrStopped means that the fetcher has ended.
	ErrStopped = errors.New("fetcher has stopped")
)

// Source asks peers. Implementations are safe for concurrent use.
type Source interface {
	// Recipe returns the encoded recipe, at most chunk.MaxRecipeLen bytes.
	Recipe(ctx context.Context, peer id.Device, ref string) ([]byte, error)
	// Chunks calls visit with chunks at these positions of the recipe as they arrive, one at a time. data is valid during the
	// call. An error of visit ends the request.
	Chunks(ctx context.Context, peer id.Device, ref string, indexes []uint32, visit func(index uint32, data []byte) error) error
}

// Events tells what happens; any of the functions may be nil. They are called from several goroutines and must not block.
type Events struct {
	// Done is called when a blob has become whole.
	Done func(ref chunk.Ref, size uint64)
	// Failed is called when a request to a peer failed. Cancelled requests are no failures.
	Failed func(ref chunk.Ref, peer id.Device, err error)
	// Stuck is called when this device could not keep what it had received.
	Stuck func(ref chunk.Ref, err error)
}

// Options of a Fetcher. Blobs and Source are required.
type Options struct {
	Blobs  *blobs.Store
	Source Source
	// Self is this device, which is never asked.
	Self id.Device
	// Auto says whether a blob that a row refers to is to be fetched without being asked for. Default: none is.
	Auto func(chunk.Ref) bool
	// Parallel and Window are those of sched.Options.
	Parallel int
	Window   int64
	// Jitter returns numbers 0 <= x < 1 that spread retries. Default: always 0.5.
	Jitter func() float64
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Stall is how long a request may bring nothing before it is given up. Default 30 s.
	Stall time.Duration
	// Grace is how long Run may go on storing what was received after its context has ended. Default 3 s.
	Grace  time.Duration
	Events Events
}

func (o Options) withDefaults() Options {
	if o.Auto == nil {
		o.Auto = func(chunk.Ref) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.Grace == 0 {
		o.Grace = 3 * time.Second
	}
	if o.Events.Done == nil {
		o.Events.Done = func(chunk.Ref, uint64) {}
	}
	if o.Events.Failed == nil {
		o.Events.Failed = func(chunk.Ref, id.Device, error) {}
	}
	if o.Events.Stuck == nil {
		o.Events.Stuck = func(chunk.Ref, error) {}
	}
	return o
}

// Validate lists all faults.
func (o Options) Validate() error {
	faults := []error{o.sched().Validate()}
	if o.Blobs == nil || o.Source == nil {
		faults = append(faults, errors.New("fetch: blobs and source are required"))
	}
	if o.Stall < 0 || o.Grace < 0 {
		faults = append(faults, errors.New("fetch: stall and grace must not be negative"))
	}
	return errors.Join(faults...)
}

func (o Options) sched() sched.Options {
	return sched.Options{Self: o.Self, Parallel: o.Parallel, Window: o.Window, Jitter: o.Jitter}
}
