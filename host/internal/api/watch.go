package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Watch takes Read on the collection, or for a whole database a tag on it and Read on each collection whose changes are
// to be seen. The stream ends when the database is destroyed, when the access is gone, or when the daemon stops.
func (s *Server) Watch(req *nodev1.WatchRequest, stream grpc.ServerStreamingServer[nodev1.WatchResponse]) error {
	ctx, stop := s.untilDrained(stream.Context())
	defer stop()
	w, initial, err := s.newWatcher(ctx, req)
	if err != nil {
		return err
	}
	w.send = stream.Send
	open := markerAt(w.db, w.after)
	if initial {
		open.kind, open.seq = markerInitial, 0
	}
	if err := stream.Send(&nodev1.WatchResponse{Resume: open.String()}); err != nil {
		return err
	}
	if initial {
		if err := w.initial(); err != nil {
			return err
		}
	}
	return w.follow()
}

// watcher is one Watch call.
type watcher struct {
	*target
	// ctx also ends when the daemon stops; its cause says why.
	ctx  context.Context
	send func(*nodev1.WatchResponse) error

	watchFilter
	// after is the marker from which the log is followed.
	after uint64

	// allowed are the decisions of this round, known those of all rounds.
	allowed, known map[id.Collection]bool
	// buried are, in this round, the versions of rows that were destroyed with an earlier life of the collection.
	buried map[id.Collection]id.Vector
}

func (s *Server) newWatcher(ctx context.Context, req *nodev1.WatchRequest) (w *watcher, initial bool, err error) {
	w = &watcher{
		ctx: ctx, allowed: map[id.Collection]bool{}, known: map[id.Collection]bool{}, buried: map[id.Collection]id.Vector{},
	}
	if w.target, err = s.open(w.ctx, req.GetDatabase()); err != nil {
		return nil, false, err
	}
	if w.watchFilter, err = w.target.watchFilter(req); err != nil {
		return nil, false, err
	}
	if err := w.begin(); err != nil {
		return nil, false, err
	}
	w.after = w.db.Published().Seq
	if req.GetResume() == "" {
		return w, req.GetInitial(), nil
	}
	m, err := parseMarker(req.GetResume())
	if err != nil {
		return nil, false, err
	}
	if err := m.within(w.db); err != nil {
		return nil, false, err
	}
	if m.seq > w.after {
		return nil, false, fmt.Errorf("%w; the data may have been restored from a backup: begin again with the initial state", errMarkerAhead)
	}
	if m.kind == markerLog {
		w.after = m.seq
	}
	return w, m.kind == markerInitial, nil
}

// begin starts a round: what the caller may see is decided anew.
func (w *watcher) begin() error {
	clear(w.allowed)
	clear(w.buried)
	if err := w.refresh(); err != nil {
		return err
	}
	if w.only == nil {
		return nil
	}
	return w.check(*w.only, perm.Read)
}

// initial sends the present rows, as one batch, and the marker from which the log goes on.
func (w *watcher) initial() error {
	order, first, scopes := w.shown()
	// announce tells of the collections up to one of them, or of all that are left.
	announce := func(upTo *id.Collection) error {
		var changes []*nodev1.Change
		for len(order) > 0 && (upTo == nil || order[0].Compare(*upTo) <= 0) {
			changes, order = append(changes, first[order[0]]), order[1:]
		}
		if len(changes) == 0 {
			return nil
		}
		return w.send(&nodev1.WatchResponse{Changes: changes, Continued: true})
	}
	var collection string
	out := rowBatch{send: func(list []*nodev1.Row) error {
		changes := make([]*nodev1.Change, len(list))
		for i, row := range list {
			changes[i] = &nodev1.Change{Collection: collection, Kind: nodev1.ChangeKind_CHANGE_KIND_PUT, Row: row}
		}
		return w.send(&nodev1.WatchResponse{Changes: changes, Continued: true})
	}}
	var current id.Collection
	seq, err := w.db.ScanSnapshot(scopes, func(c id.Collection, r *rows.RowView) error {
		if c != current {
			if err := out.flush(); err != nil {
				return err
			}
			current, collection = c, c.Name.String()
			if err := announce(&c); err != nil {
				return err
			}
		}
		if !w.wants(c, string(r.Key)) {
			return nil
		}
		return out.add(r)
	})
	if err != nil {
		return err
	}
	if err := errors.Join(out.flush(), announce(nil)); err != nil {
		return err
	}
	if err := w.published(seq); err != nil {
		return err
	}
	w.after = seq
	return w.send(&nodev1.WatchResponse{Resume: markerAt(w.db, seq).String()})
}

// shown returns the collections that the client is told of, in order, what it is told first of each, and the scopes of those whose rows
// it may read.
func (w *watcher) shown() (order []id.Collection, first map[id.Collection]*nodev1.Change, scopes []id.Scope) {
	first = map[id.Collection]*nodev1.Change{}
	for _, c := range w.db.Collections() {
		if !w.wants(c, "") {
			continue
		}
		list, version, err := w.db.CollectionPermissions(c)
		if err != nil || !w.knows(c, list) {
			continue
		}
		order, first[c] = append(order, c), w.collectionChange(c, list, version)
		if w.decide(c, list, perm.Read) == nil {
			w.known[c] = true
			scopes = append(scopes, w.scope(c))
		}
	}
	return order, first, scopes
}

// published waits until the commit is durable: a snapshot may lie ahead of what would survive a crash, its marker may not.
func (w *watcher) published(seq uint64) error {
	for {
		published, more := w.db.More()
		if published.Seq >= seq {
			return nil
		}
		if err := w.wait(more); err != nil {
			return err
		}
	}
}

// follow sends batches as they become durable, until something ends the stream. What the client wants and may see of a
// batch is decided when the batch is sent.
func (w *watcher) follow() error {
	sub, err := w.db.Subscribe(w.after)
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		b, err := sub.Next(w.ctx)
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		if err != nil {
			return err
		}
		if err := w.begin(); err != nil {
			return errors.Join(err, w.farewell(&b))
		}
		if err := w.sendBatch(&b); err != nil {
			return err
		}
	}
}

// wait returns without an error when there is more to see.
func (w *watcher) wait(more <-chan struct{}) error {
	select {
	case <-more:
		return w.db.Err()
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
}

// sees decides whether the caller may see a change.
func (w *watcher) sees(ch *rows.Change) bool {
	buried, asked := w.buried[ch.Collection]
	if !asked {
		buried = w.db.Buried(ch.Collection)
		w.buried[ch.Collection] = buried
	}
	if !ch.Deleted && buried.Covers(ch.Version) {
		return false
	}
	if may, decided := w.allowed[ch.Collection]; decided {
		return may
	}
	list, _, err := w.db.CollectionPermissions(ch.Collection)
	if err != nil {
		return w.seesGone(ch)
	}
	may := w.decide(ch.Collection, list, perm.Read) == nil
	w.allowed[ch.Collection], w.known[ch.Collection] = may, may
	return may
}

// seesGone decides about a collection that exists no longer: who could read it hears of its end, and so do, of the
// deletes but not of the values before them, those who may list the collections of the database.
func (w *watcher) seesGone(ch *rows.Change) bool {
	if w.known[ch.Collection] || acl.Database(w.list, w.caller, perm.Admin) == nil {
		return true
	}
	return ch.Deleted && acl.Database(w.list, w.caller, perm.Read) == nil
}

// sendBatch sends the changes of one batch in messages of about messageBytes; only the last carries the marker.
func (w *watcher) sendBatch(b *rows.Batch) error {
	var list []*nodev1.Change
	size := 0
	for i := range b.Changes {
		ch := &b.Changes[i]
		if !w.wants(ch.Collection, ch.Key) {
			continue
		}
		if ch.Key == "" {
			if c := w.ofCollection(b, ch); c != nil {
				list = append(list, c)
			}
			continue
		}
		if !w.sees(ch) {
			continue
		}
		if size >= messageBytes {
			if err := w.send(&nodev1.WatchResponse{Changes: list, Continued: true}); err != nil {
				return err
			}
			list, size = nil, 0
		}
		list = append(list, change(b, ch))
		size += len(ch.Key) + len(ch.Value) + rowOverhead
	}
	if len(list) == 0 {
		return nil
	}
	return w.send(&nodev1.WatchResponse{Changes: list, Resume: markerAt(w.db, b.Seq).String()})
}

func change(b *rows.Batch, ch *rows.Change) *nodev1.Change {
	c := &nodev1.Change{
		Collection: ch.Collection.Name.String(), Kind: nodev1.ChangeKind_CHANGE_KIND_PUT,
		FromSync: b.FromSync, Batch: b.Name.String(),
		Row: &nodev1.Row{
			Key: ch.Key, Value: ch.Value, Type: ch.Type, Raw: ch.Raw,
			Version: ch.Version.String(), Updated: stamp(ch.Time),
		},
	}
	if ch.Deleted {
		c.Kind = nodev1.ChangeKind_CHANGE_KIND_DELETE
	}
	return c
}
