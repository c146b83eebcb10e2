package fetch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/sched"
)

// Priorities of wishes; a greater one goes first.
const (
	// PriorityAuto is for blobs that nobody waits for.
	PriorityAuto = 0
	// PriorityAsked is for blobs that somebody asked for.
	PriorityAsked = 100
	// PriorityRead is for blobs that somebody is reading.
	PriorityRead = 200
)

// Fetcher fetches wanted blobs while Run is running. Its methods may be called at any time, from any goroutine.
type Fetcher struct {
	opts Options
	// kick has one place; a token in it makes the loop of Run look again.
	kick chan struct{}
	// stopped is closed when Run has returned.
	stopped chan struct{}
	// workers are the goroutines that Run started.
	workers sync.WaitGroup

	// mu guards what follows and the tasks. It is not held while anything is waited for, read or written.
	mu    sync.Mutex
	sched *sched.Scheduler
	tasks map[string]*task
	// ending are cancelled tasks at which nobody works any more.
	ending []*task
}

// New returns a fetcher that wants nothing.
func New(opts Options) (*Fetcher, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	return &Fetcher{
		opts:    opts,
		kick:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		sched:   sched.New(opts.sched()),
		tasks:   make(map[string]*task),
	}, nil
}

// Want asks for a blob. Its signpost and the hints say who is asked first. A blob that is wanted already becomes more urgent
// where the priority is greater; one that is whole stays as it is.
func (f *Fetcher) Want(ref chunk.Ref, priority int, hints ...id.Device) error {
	whole, err := f.isWhole(ref)
	if err != nil || whole {
		return err
	}
	locations, err := f.opts.Blobs.Locations(ref)
	if err != nil {
		return err
	}
	for _, l := range locations {
		hints = append(hints, l.Device)
	}
	f.mu.Lock()
	f.want(ref, sched.Want{Ref: ref.String(), Priority: priority, Hints: hints})
	f.mu.Unlock()
	// Only now is the answer certain: a fetch may have come to its end since it was asked for the first time.
	return f.Stored(ref)
}

// Stored is to be called when a blob has come by another way, as by being put: if it is whole, its fetch is over.
func (f *Fetcher) Stored(ref chunk.Ref) error {
	st, err := f.opts.Blobs.Stat(ref)
	if errors.Is(err, blobs.ErrNotFound) || err == nil && st.State != blobs.Whole {
		return nil
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tasks[ref.String()]; t != nil && !t.cancelled {
		t.progress = Progress{State: Done, Received: st.Size, Total: st.Size}
		f.cancelTask(t)
	}
	return nil
}

func (f *Fetcher) want(ref chunk.Ref, w sched.Want) {
	t := f.tasks[w.Ref]
	if t != nil && t.cancelled {
		if t.progress.State != Done {
			t.again = &w
		}
		return
	}
	if t == nil {
		f.tasks[w.Ref] = &task{ref: ref, name: w.Ref, givers: make(map[id.Device]bool)}
	}
	f.handle(w)
}

// Cancel ends the wish for a blob. What was received stays stored for the next one.
func (f *Fetcher) Cancel(ref chunk.Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tasks[ref.String()]
	if t == nil {
		return
	}
	t.again = nil
	if !t.cancelled {
		f.cancelTask(t)
	}
}

// cancelTask ends what is under way for a task and then the task. The caller holds mu.
func (f *Fetcher) cancelTask(t *task) {
	t.cancelled = true
	if t.cancel != nil {
		t.cancel()
	}
	f.handle(sched.Cancel{Ref: t.name})
	t.notify()
	if t.running == 0 {
		f.ending = append(f.ending, t)
	}
}

// Hint says that a device is likely to have a blob; it is asked at once when the blob is wanted.
func (f *Fetcher) Hint(ref chunk.Ref, peer id.Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle(sched.Hint{Ref: ref.String(), Peer: peer})
}

// PeerUp says that a peer can be asked.
func (f *Fetcher) PeerUp(peer id.Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle(sched.PeerUp{Peer: peer})
}

// PeerDown says that a peer can no longer be asked. Requests under way are to fail by themselves.
func (f *Fetcher) PeerDown(peer id.Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handle(sched.PeerDown{Peer: peer})
}

// Referenced is to be called after the commit of rows that refer to blobs: those that Auto accepts are wanted from now on.
func (f *Fetcher) Referenced(refs ...chunk.Ref) error {
	for _, ref := range refs {
		if !f.opts.Auto(ref) {
			continue
		}
		if err := f.Want(ref, PriorityAuto); err != nil {
			return err
		}
	}
	return nil
}

// Rescan offers every missing blob to Auto. Run begins with it; it is to be called again when Auto has changed its mind.
func (f *Fetcher) Rescan() error {
	return f.opts.Blobs.EachMissing(func(ref chunk.Ref) error { return f.Referenced(ref) })
}

// Run fetches until the context ends. It may be called once.
func (f *Fetcher) Run(ctx context.Context) error {
	defer close(f.stopped)
	if err := f.Rescan(); err != nil {
		return err
	}
	// Storing what was received may take a little longer than asking for more.
	store, stopStoring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStoring()
	for {
		var alarm <-chan time.Time
		if pause, found := f.advance(ctx, store); found {
			alarm = time.After(pause)
		}
		select {
		case <-f.kick:
		case <-alarm:
		case <-ctx.Done():
			grace := time.AfterFunc(f.opts.Grace, stopStoring)
			defer grace.Stop()
			f.workers.Wait()
			f.closeWriters(store)
			return ctx.Err()
		}
	}
}

// advance starts what is to be done now and returns how long nothing more is.
func (f *Fetcher) advance(ctx, store context.Context) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.opts.Now()
	for _, action := range f.sched.Next(now) {
		f.start(ctx, store, action)
	}
	for _, t := range f.ending {
		f.workers.Go(func() { f.end(store, t) })
	}
	f.ending = nil
	deadline, found := f.sched.Deadline()
	return deadline.Sub(now), found
}

// handle passes an event to the scheduler and wakes the loop.
func (f *Fetcher) handle(e sched.Event) {
	f.sched.Handle(f.opts.Now(), e)
	f.wake()
}

// wake makes the loop of Run look again.
func (f *Fetcher) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

func (f *Fetcher) task(ref chunk.Ref) *task {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tasks[ref.String()]
}

// end stores what a cancelled task received and forgets the task.
func (f *Fetcher) end(store context.Context, t *task) {
	f.closeWriter(store, t)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tasks, t.name)
	t.notify()
	if t.again != nil {
		f.want(t.ref, *t.again)
	}
}

func (f *Fetcher) closeWriters(store context.Context) {
	f.mu.Lock()
	var all []*task
	for _, t := range f.tasks {
		all = append(all, t)
	}
	f.mu.Unlock()
	var closing sync.WaitGroup
	for _, t := range all {
		closing.Go(func() { f.closeWriter(store, t) })
	}
	closing.Wait()
}

// closeWriter stores what is left in the task's writer, as well as it can.
func (f *Fetcher) closeWriter(store context.Context, t *task) {
	f.mu.Lock()
	w := t.writer
	t.writer = nil
	f.mu.Unlock()
	if w == nil {
		return
	}
	if err := w.Close(store); err != nil {
		f.opts.Events.Stuck(t.ref, err)
	}
}

func (f *Fetcher) isWhole(ref chunk.Ref) (bool, error) {
	st, err := f.opts.Blobs.Stat(ref)
	if errors.Is(err, blobs.ErrNotFound) {
		return false, nil
	}
	return st.State == blobs.Whole, err
}
