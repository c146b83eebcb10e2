package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// sendBytes is about how many bytes of commits go into one message. When a connection breaks, the message that was half there is sent
// again. With what goes around them they fit into the buffers of 32 KiB that gRPC keeps; the next larger ones have 1 MiB, and are cleared each time.
const sendBytes = 31 << 10

// leftRest is the least time between two words of how much is left of a round.
const leftRest = 250 * time.Millisecond

// Serve answers a pull: it sends what the initiator lacks of the scopes that it may have, and goes on sending what is
// committed until ctx ends. It returns ErrHidden when there is nothing that the caller may have, also when that becomes
// so later.
func (e *Engine) Serve(ctx context.Context, caller Peer, open delta.Open, to Outlet) error {
	db, err := e.store.Database(open.Database)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrHidden, open.Database)
	}
	r := responder{db: db, caller: caller.Principal, open: open, said: to.Said(), send: to.Send, want: func() { e.neighbours.want(db, caller) }}
	if err := r.authorize(); err != nil {
		return err
	}
	if !open.Probe {
		e.nudges.nudge(caller, open.Database)
		e.audience.enter(db, caller.Principal)
		defer e.audience.leave(db, caller.Principal)
	}
	if err := e.amend(db, caller, db.Examine(open.Witnesses, r.known), open.Witnesses); err != nil {
		return err
	}
	accepted := make([]id.Scope, 0, len(r.known))
	for _, k := range r.known {
		accepted = append(accepted, k.Scope)
	}
	first := delta.Message{Accepted: accepted, Inside: r.inside}
	if !open.Probe {
		if first.Witnesses, err = db.Witnesses(accepted, open.Self.Device); err != nil {
			return err
		}
		r.outgo = &outgo{db: db, caller: caller.Principal, self: open.Self, underway: to.Underway, have: r.known}
		first.Left = r.outgo.yetToSend()
		e.outlets.enter(r.outgo)
		defer e.outlets.leave(r.outgo)
	}
	if err := r.send(first); err != nil {
		return err
	}
	r.plan = delta.NewPlan(open.Self, r.known)
	if open.Probe {
		state := db.Published()
		if state.Paused {
			return fmt.Errorf("%w: %w: %s", ErrHidden, ErrPaused, open.Database)
		}
		r.plan.Update(state.Know)
		return r.send(delta.Message{Progress: r.plan.Held()})
	}
	defer db.Answer(r.plan)()
	if err := r.sendInventories(ctx); err != nil {
		return err
	}
	return r.run(ctx)
}

// responder is one pull being answered.
type responder struct {
	db     *rows.DB
	caller id.Principal
	open   delta.Open
	said   <-chan delta.Elsewhere
	send   func(delta.Message) error
	// want has this device pull from the caller, too.
	want  func()
	known []delta.ScopeVector
	// inside are scopes within those of known that the caller has not asked for.
	inside []id.Scope
	plan   *delta.Plan
	// meta is the state of the metadata that the caller's rights were last checked against.
	meta    uint64
	hold    holdBack
	pending [][]byte
	// size is that of pending, in bytes, and records how many it has.
	size, records int
	pace          pace
	// outgo counts what is left, in a round that goes up to know; told is when the initiator was last told in it.
	outgo *outgo
	know  *delta.Knowledge
	told  time.Time
}

// sendInventories tells of deletes that were forgotten here and that the initiator has not heard of: all keys where it has anything, and
// the deletes alone where not.
func (r *responder) sendInventories(ctx context.Context) error {
	for _, k := range r.known {
		emit := func(v *delta.Inventory) error { return r.send(delta.Message{Inventory: v}) }
		var err error
		switch {
		case slices.Contains(r.open.Holding, k.Scope):
			err = r.db.Inventory(ctx, k.Scope, k.Vector, emit)
		case r.open.Forgotten:
			err = r.db.BareInventory(k.Scope, k.Vector, emit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// authorize finds the scopes that the caller asked for and may have. Once a pull runs, fewer or more of them end it: the
// initiator asks again and gets what it may have by then.
func (r *responder) authorize() error {
	r.meta = r.db.Published().Meta
	names, scopes, err := served(r.db, r.caller)
	if errors.Is(err, rows.ErrDestroyed) {
		return fmt.Errorf("%w: %s", ErrHidden, r.open.Database)
	}
	if err != nil {
		return err
	}
	asked := slices.ContainsFunc(r.open.Syncgroups, func(n id.Name) bool { return slices.Contains(names, n) })
	var known []delta.ScopeVector
	var accepted []id.Scope
	for _, k := range r.open.Known {
		within := func(s id.Scope) bool { return s.Covers(k.Scope) }
		if asked && slices.ContainsFunc(scopes, within) {
			known = append(known, k)
			accepted = append(accepted, k.Scope)
		}
	}
	inside := r.db.Published().Know.Inside(accepted)
	if len(known) == 0 || r.known != nil && (len(known) != len(r.known) || !slices.Equal(inside, r.inside)) {
		return fmt.Errorf("%w: %s", ErrHidden, r.open.Database)
	}
	if r.db.Published().Paused {
		return fmt.Errorf("%w: %w: %s", ErrHidden, ErrPaused, r.open.Database)
	}
	r.known, r.inside = known, inside
	return nil
}

func (r *responder) run(ctx context.Context) error {
	first := true
	for {
		r.pace.begin(ctx)
		state, more := r.db.More()
		if err := r.db.Err(); err != nil {
			return fmt.Errorf("%w: %s", ErrHidden, r.open.Database)
		}
		if state.Meta != r.meta {
			if err := r.authorize(); err != nil {
				return err
			}
		}
		var over <-chan time.Time
		if left := r.hold.left(r.plan, state.Know); left > 0 {
			over = time.After(left)
			if err := r.report(nil); err != nil {
				return err
			}
		} else if err := r.sendAll(ctx, first); err != nil {
			return err
		}
		first = false
		select {
		case <-more:
		case <-r.pace.due():
		case <-over:
		case e := <-r.said:
			r.db.Learned(r.plan, e.Known)
			r.hold.hear(e)
			if r.lacks(e.News) {
				r.want()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lacks reports whether this device lacks any of the news, in the scopes of the session.
func (r *responder) lacks(news []delta.ScopeVector) bool {
	know := r.db.Published().Know
	return slices.ContainsFunc(r.known, func(k delta.ScopeVector) bool {
		i := slices.IndexFunc(news, func(n delta.ScopeVector) bool { return n.Scope == k.Scope })
		return i >= 0 && !level(know, news[i:i+1])
	})
}

// sendAll sends what the initiator lacks, and how far that goes: the first time also if it lacks nothing.
func (r *responder) sendAll(ctx context.Context, first bool) error {
	r.know, r.told = r.db.Published().Know, time.Time{} // at the end of the last round nothing was left
	progress, err := r.db.Send(ctx, r.plan, r.add)
	if err == nil {
		err = r.flush()
	}
	r.outgo.round(r.know, 0)
	if errors.Is(err, ErrPaused) || errors.Is(err, rows.ErrOutrun) {
		return fmt.Errorf("%w: %w", ErrHidden, err)
	}
	if err != nil {
		return err
	}
	if first {
		progress = r.plan.Held()
	}
	return r.report(progress)
}

// report tells how far what was sent goes, with what is owed of that, as soon as it is due.
func (r *responder) report(progress []delta.ScopeVector) error {
	if progress = r.pace.report(progress); len(progress) == 0 {
		return nil
	}
	return r.send(delta.Message{Progress: progress})
}

// add collects a commit.
func (r *responder) add(o rows.Outgoing) error {
	if r.size > 0 && r.size+len(o.Commit) > sendBytes {
		if err := r.tellLeft(o.Records, o.Left); err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
	r.pace.commits++
	r.pending = append(r.pending, slices.Clone(o.Commit))
	r.size += len(o.Commit)
	r.records += o.Records
	if r.size > sendBytes { // it alone
		return r.tellLeft(0, o.Left)
	}
	return nil
}

// tellLeft tells how much is left, if that is due: what is pending, so many records more, and what comes after them. With less than a
// message there is no need to.
func (r *responder) tellLeft(more int, after func() uint64) error {
	if time.Since(r.told) < leftRest {
		return nil
	}
	r.outgo.round(r.know, uint64(r.records+more)+after())
	r.told = time.Now()
	return r.send(delta.Message{Left: r.outgo.yetToSend()})
}

func (r *responder) flush() error {
	if len(r.pending) == 0 {
		return nil
	}
	m, size, records := delta.Message{Commits: r.pending}, r.size, r.records
	r.pending, r.size, r.records = nil, 0, 0
	r.outgo.sending(records)
	if err := r.send(m); err != nil {
		return err
	}
	r.outgo.sent(size, records)
	return nil
}

// decode reads the commits of a message.
func decode(commits [][]byte) ([]wire.Commit, error) {
	list := make([]wire.Commit, 0, len(commits))
	for _, data := range commits {
		c, err := wire.DecodeCommit(data)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", rows.ErrRefused, err)
		}
		list = append(list, c)
	}
	return list, nil
}
