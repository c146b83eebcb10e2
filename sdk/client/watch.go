package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// WatchOptions select what to watch. The zero value is everything from now on.
type WatchOptions struct {
	// Collection is watched alone; empty for all that the caller may read.
	Collection string
	// Prefix narrows to keys that begin with it.
	Prefix string
	// Patterns select, in place of Collection and Prefix, what matches one of them.
	Patterns []WatchPattern
	// Resume goes on after a batch with this marker.
	Resume string
	// Initial begins with the present rows. Not used when Resume is given.
	Initial bool
	// Interrupted is told, if set, why the connection broke, each time before it is made again.
	Interrupted func(error)
}

// WatchPattern selects collections and rows. In both texts % stands for any run of characters, also none, _ for one
// character, and a backslash takes the character after it literally, which must be one of these three: see Literal.
type WatchPattern struct {
	// Collection matches full names, "owner:name"; without a colon names of the caller's own.
	Collection string
	// Key matches keys; empty for no rows, only what becomes of the collections themselves.
	Key string
}

// Literal returns the text of a pattern that matches exactly the given text.
func Literal(text string) string {
	return strings.NewReplacer(`%`, `\%`, `_`, `\_`, `\`, `\\`).Replace(text)
}

// Batch is what became visible together.
type Batch struct {
	Changes []Change
	// Resume is the marker after the batch; keep it, when the changes are dealt with, to go on from here later. It is
	// empty within the initial state, which cannot be resumed in the middle.
	Resume string
	// Initial marks the parts of the initial state. It begins with a part that has Reset set and ends with one that has
	// no changes, but a marker.
	Initial bool
	// Reset says that the initial state begins: what was received before, if anything, is void.
	Reset bool
}

// ChangeKind says what changed.
type ChangeKind int

const (
	// Put: a row was written, or is there in the initial state.
	Put ChangeKind = iota
	// Deleted: a row was deleted.
	Deleted
	// CollectionChanged: a collection was made or its access list replaced, or it is there in the initial state. Rows that
	// the caller may read only since then are not sent again: scan for them.
	CollectionChanged
	// CollectionDestroyed: a collection was destroyed with all its rows, for which nothing else is sent.
	CollectionDestroyed
)

// Change is a change of one row, or of a collection.
type Change struct {
	Kind ChangeKind
	// Collection is a full name.
	Collection string
	// Row has no value when it was deleted, and is zero when the collection changed.
	Row Row
	// Tags are those that the caller has on a collection that changed, and Permissions, for who has Admin, its access list;
	// Version is that of the list.
	Tags        []string
	Permissions json.RawMessage
	Version     string
	// FromSync says that the change came from another device.
	FromSync bool
	// Batch names the batch: the version of its first record. Empty within the initial state.
	Batch string
}

// Limits of the pauses between attempts to go on with a watch.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Watch iterates over batches in commit order, without gaps or repeats, until the context ends, the loop is left, or
// something happens that reconnecting cannot mend (the database is destroyed, the access is gone); an error is the last
// thing yielded. The first batch has no changes: it says that the watch is open, and from which marker.
//
// Once open, a watch outlives the connection: it goes on after the last batch, as often as it takes. Only when the
// connection breaks within the initial state does that begin again, with Reset set.
func (d *Database) Watch(ctx context.Context, opts WatchOptions) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		w := watch{db: d, opts: opts, marker: opts.Resume, yield: yield, pause: firstPause}
		for {
			err := w.once(ctx)
			if errors.Is(err, errLeft) {
				return
			}
			if !w.opened || !errors.Is(err, ErrUnavailable) {
				yield(Batch{}, err)
				return
			}
			if opts.Interrupted != nil {
				opts.Interrupted(err)
			}
			if err := w.rest(ctx); err != nil {
				yield(Batch{}, err)
				return
			}
		}
	}
}

// errLeft ends a watch whose loop was left.
var errLeft = errors.New("the loop was left")

// watch is a watch across its connections.
type watch struct {
	db     *Database
	opts   WatchOptions
	yield  func(Batch, error) bool
	opened bool
	// marker is where to go on; initial says that it lies before or within the initial state.
	marker  string
	initial bool
	pause   time.Duration
	// changes are those received of a batch that is not complete.
	changes []Change
}

// once follows one connection to its end.
func (w *watch) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.db.c.api.Watch(ctx, &nodev1.WatchRequest{
		Database: w.db.name, Collection: w.opts.Collection, Prefix: w.opts.Prefix, Resume: w.marker, Patterns: w.opts.patterns(),
		Initial: w.opts.Initial && w.marker == "",
	})
	if err != nil {
		return w.db.c.failure(err)
	}
	w.changes = nil
	if err := w.open(stream); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if ctx.Err() != nil {
			return w.db.c.failed(ctx) // what has arrived before is not wanted any more
		}
		if err != nil {
			return w.db.c.failure(err)
		}
		if err := w.message(m); err != nil {
			return err
		}
	}
}

// open receives the first message.
func (w *watch) open(stream grpc.ServerStreamingClient[nodev1.WatchResponse]) error {
	m, err := stream.Recv()
	if err != nil {
		return w.db.c.failure(err)
	}
	if !w.opened {
		w.initial = w.opts.Initial && w.opts.Resume == ""
	}
	first := !w.opened
	w.opened, w.marker, w.pause = true, m.GetResume(), firstPause
	if (first || w.initial) && !w.yield(Batch{Resume: w.marker, Initial: w.initial, Reset: w.initial}, nil) {
		return errLeft
	}
	return nil
}

// maxBatchChanges bounds what is collected of one batch; the daemon's own limit is lower.
const maxBatchChanges = 1_000_000

func (w *watch) message(m *nodev1.WatchResponse) error {
	for _, ch := range m.GetChanges() {
		w.changes = append(w.changes, changeOf(ch))
	}
	if m.GetContinued() && !w.initial {
		if len(w.changes) > maxBatchChanges {
			return fmt.Errorf("watch: the daemon sent more than %d changes in one batch", maxBatchChanges)
		}
		return nil
	}
	b := Batch{Changes: w.changes, Initial: w.initial}
	w.changes = nil
	if !m.GetContinued() {
		b.Resume = m.GetResume()
		w.marker, w.initial = b.Resume, false
	}
	if !w.yield(b, nil) {
		return errLeft
	}
	return nil
}

var changeKinds = map[nodev1.ChangeKind]ChangeKind{
	nodev1.ChangeKind_CHANGE_KIND_DELETE:     Deleted,
	nodev1.ChangeKind_CHANGE_KIND_COLLECTION: CollectionChanged,
	nodev1.ChangeKind_CHANGE_KIND_DESTROYED:  CollectionDestroyed,
}

func changeOf(ch *nodev1.Change) Change {
	c := Change{
		Kind: changeKinds[ch.GetKind()], Collection: ch.GetCollection(), FromSync: ch.GetFromSync(), Batch: ch.GetBatch(),
	}
	if c.Kind == CollectionChanged {
		c.Tags, c.Permissions, c.Version = ch.GetAccess().GetTags(), ch.GetAccess().GetPermissions(), ch.GetAccess().GetVersion()
	} else if c.Kind != CollectionDestroyed {
		c.Row = rowOf(ch.GetRow())
	}
	return c
}

func (o *WatchOptions) patterns() []*nodev1.WatchPattern {
	var list []*nodev1.WatchPattern
	for _, p := range o.Patterns {
		list = append(list, &nodev1.WatchPattern{Collection: p.Collection, Key: p.Key})
	}
	return list
}

// rest waits before the next attempt.
func (w *watch) rest(ctx context.Context) error {
	d := w.pause
	w.pause = min(2*w.pause, lastPause)
	return pause(ctx, d)
}
