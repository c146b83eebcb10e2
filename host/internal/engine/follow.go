package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Stream is an open pull, as its initiator sees it.
type Stream interface {
	// Recv returns the next message. One goroutine calls it.
	Recv() (delta.Message, error)
	// Credit says that so many bytes of commits have been applied.
	Credit(n uint64) error
	// Tell says what comes from elsewhere. Only for a peer that HoldsBack.
	Tell(e delta.Elsewhere) error
	// Close ends the stream and makes Recv return.
	Close()
}

// Opener opens a pull from a peer. The stream ends with ctx.
type Opener func(ctx context.Context, open delta.Open) (Stream, error)

// Limits of the initiator.
const (
	// window is how many bytes of commits a peer may have under way to us.
	window = 16 << 20
	// stepBytes and stepCommits bound what is applied in one atomic step.
	stepBytes   = 4 << 20
	stepCommits = 20_000
	// Pauses before a failed pull is tried again.
	firstPause = 200 * time.Millisecond
	lastPause  = 30 * time.Second
)

// Follow pulls everything that this device shares with the peer, of every database, until ctx ends; it returns after
// everything it started has.
func (e *Engine) Follow(ctx context.Context, p Peer, open Opener) {
	var all sync.WaitGroup
	defer all.Wait()
	running := map[*rows.DB]context.CancelFunc{}
	for {
		dbs, changed := e.store.Databases()
		for db, stop := range running {
			if !slices.Contains(dbs, db) {
				stop()
				delete(running, db)
			}
		}
		for _, db := range dbs {
			if running[db] != nil {
				continue
			}
			dbCtx, stop := context.WithCancel(ctx)
			defer stop()
			running[db] = stop
			f := follower{e: e, db: db, peer: p, open: open}
			all.Go(func() { f.run(dbCtx) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// follower pulls one database from one peer.
type follower struct {
	e    *Engine
	db   *rows.DB
	peer Peer
	open Opener
	// witnesses are what the peer showed of what it holds of this device, when the session began.
	witnesses []delta.Witness
	// rebasing holds what is here against the inventories of the session, nil without any.
	rebasing *rows.Rebasing
	// left is how many records are left after what came last, as the peer says; accepted is set when it has answered in this session.
	left     uint64
	accepted bool
}

// run keeps a pull open whenever there is a syncgroup in common, and opens it anew when what is in common changes.
func (f *follower) run(ctx context.Context) {
	f.e.expect(f.peer, f.db)
	defer f.e.forget(f.peer, f.db)
	defer f.e.neighbours.leave(f.db, f.peer)
	defer f.e.nudges.forget(f.peer, f.db.Name())
	woken := f.e.nudges.next(f.peer, f.db.Name())
	var nudged time.Time
	pause := firstPause
	for ctx.Err() == nil {
		state := f.db.Published()
		names, scopes, err := f.common()
		switch {
		case err != nil:
			f.failed(err)
		case len(names) == 0 || state.Paused:
			f.e.neighbours.leave(f.db, f.peer)
			if len(names) == 0 {
				f.nothingLeft()
			}
			f.untilMeta(ctx, state.Meta, nil, nil)
			continue
		default:
			chosen, turned, line := f.e.neighbours.sit(f.db, f.peer, names)
			if !chosen {
				f.nothingLeft()
				f.standBy(ctx, state.Meta, turned, names, scopes)
				continue
			}
			began := time.Now()
			err = f.e.amend(f.db, f.peer, f.pull(ctx, state.Meta, turned, line, names, scopes), f.witnesses)
			if err == nil || time.Since(began) > lastPause {
				pause = firstPause
			}
			if err == nil || f.db.Published().Paused {
				continue
			}
			if !f.accepted {
				f.nothingLeft()
			}
			if ctx.Err() == nil {
				f.e.neighbours.report(f.db, f.peer, true)
				f.failed(err)
				f.survey(ctx, err, names, scopes)
			}
		}
		heeded := woken
		if time.Since(nudged) < lastPause {
			heeded = nil // two that fail with each other must not keep each other awake
		}
		timer := time.NewTimer(pause)
		f.untilMeta(ctx, state.Meta, timer.C, heeded)
		timer.Stop()
		pause = min(2*pause, lastPause)
		select {
		case <-heeded:
			woken, nudged, pause = f.e.nudges.next(f.peer, f.db.Name()), time.Now(), firstPause
		default:
		}
	}
}

// common returns the syncgroups in common with the peer and the scopes to ask it for.
func (f *follower) common() ([]id.Name, []id.Scope, error) {
	names, scopes, err := asked(f.db, f.peer.Principal)
	return names, withInside(f.db, scopes), err
}

func (f *follower) failed(err error) {
	if errors.Is(err, rows.ErrRefused) || errors.Is(err, rows.ErrLettersFull) || errors.Is(err, ErrPaused) {
		f.e.blame(f.peer, f.db, err)
	}
	if f.e.events.Failed != nil {
		f.e.events.Failed(f.db, f.peer, err)
	}
}

// untilMeta returns when the metadata of a syncgroup has changed since meta, ctx or the database has ended, timeout fires, or
// woken is closed.
func (f *follower) untilMeta(ctx context.Context, meta uint64, timeout <-chan time.Time, woken <-chan struct{}) {
	for {
		state, more := f.db.More()
		if state.Meta != meta {
			return
		}
		select {
		case <-more:
		case <-timeout:
			return
		case <-woken:
			return
		case <-ctx.Done():
			return
		}
	}
}

// pull runs one session until it fails or ctx ends; until the syncgroups in common are no longer names and scopes, turned
// is closed, or the turn to catch up goes to another peer: then it returns nil.
func (f *follower) pull(ctx context.Context, meta uint64, turned <-chan struct{}, line *catchUp, names []id.Name, scopes []id.Scope) error {
	ctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	// changed is set by whoever ends the session for a reason that is no failure.
	var changed atomic.Bool
	watch.Go(func() {
		if f.stuck(ctx, names, scopes) {
			changed.Store(true)
			stop()
		}
	})
	self := f.db.Writer()
	until := func(over <-chan struct{}) {
		select {
		case <-over:
			changed.Store(true)
			stop()
		case <-ctx.Done():
		}
	}
	watch.Go(func() { until(turned) })
	// agreed is the state of the metadata in which the pull was last found to be what is to be asked for.
	var agreed atomic.Uint64
	agreed.Store(meta)
	agree := func() bool {
		n, s, err := f.common()
		return err == nil && !f.db.Published().Paused && f.db.Writer() == self && slices.Equal(n, names) && slices.Equal(s, scopes)
	}
	watch.Go(func() {
		for ctx.Err() == nil {
			f.untilMeta(ctx, agreed.Load(), nil, nil)
			meta := f.db.Published().Meta
			if !agree() {
				changed.Store(true)
				stop()
				continue
			}
			agreed.Store(meta)
		}
	})
	// Once ctx has ended nobody looks at metadata that came last.
	asFor := func() bool { return !changed.Load() && (f.db.Published().Meta == agreed.Load() || agree()) }
	if line.busy() {
		f.nothingLeft() // others send it
	}
	turn := line.enter(ctx)
	watch.Go(func() { until(turn.over) })
	err := f.session(ctx, asFor, turn, names, scopes)
	turn.leave()
	stop()
	watch.Wait()
	if changed.Load() {
		return nil
	}
	return err
}

// standBy waits while others are the neighbours: until turned is closed, the metadata has changed since meta, or ctx ends. A
// peer that holds what after a whole period has not come from anybody is made a neighbour.
func (f *follower) standBy(ctx context.Context, meta uint64, turned <-chan struct{}, names []id.Name, scopes []id.Scope) {
	ctx, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer stop()
	watch.Go(func() {
		if f.e.Audit > 0 {
			f.checkOn(ctx, names, scopes)
		}
	})
	// over is closed when turned is or ctx has ended.
	over := make(chan time.Time)
	watch.Go(func() {
		defer close(over)
		select {
		case <-turned:
		case <-ctx.Done():
		}
	})
	f.untilMeta(ctx, meta, over, nil)
}

// checkOn asks a peer that is not a neighbour what it holds, every period until ctx ends.
func (f *follower) checkOn(ctx context.Context, names []id.Name, scopes []id.Scope) {
	ticker := time.NewTicker(f.e.Audit)
	defer ticker.Stop()
	var before []delta.ScopeVector
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		held, err := probe(ctx, f.db, names, scopes, f.open)
		if err != nil {
			continue
		}
		f.e.note(f.peer, f.db, held)
		if !level(f.db.Published().Know, before) {
			f.e.neighbours.want(f.db, f.peer)
			return
		}
		before = held
	}
}

// auditRest is how many times longer than Engine.Audit it takes at the most until a peer is asked again that had nothing new.
const auditRest = 8

// stuck asks the peer now and then what it holds, until ctx ends, and less and less often while nothing is lacking. It reports true
// when something was lacking twice in a row and nothing came in between: the open pull has missed it.
func (f *follower) stuck(ctx context.Context, names []id.Name, scopes []id.Scope) bool {
	if f.e.Audit <= 0 {
		return false
	}
	period := f.e.Audit
	timer := time.NewTimer(period)
	defer timer.Stop()
	var before *delta.Knowledge
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		held, err := probe(ctx, f.db, names, scopes, f.open)
		know := f.db.Published().Know
		switch {
		case err != nil:
			before, period = nil, f.e.Audit
		case level(know, held):
			before, period = nil, min(2*period, auditRest*f.e.Audit)
		case before != nil && level(before, delta.Request(know, scopes)):
			return true
		default:
			before, period = know, f.e.Audit
		}
		timer.Reset(period)
	}
}

// session opens a pull and applies what arrives until it ends; what had arrived when it was cut off, too, while asFor says that it is
// still what was asked for.
func (f *follower) session(ctx context.Context, asFor func() bool, turn *turn, names []id.Name, scopes []id.Scope) error {
	f.witnesses, f.rebasing, f.accepted = nil, nil, false
	witnesses, err := f.db.Witnesses(scopes, f.peer.Device)
	if err != nil {
		return err
	}
	holding, err := f.db.Holding(scopes)
	if err != nil {
		return err
	}
	know := f.db.Published().Know
	ctx, stop := context.WithCancel(ctx)
	opened, err := f.open(ctx, delta.Open{
		Database: f.db.Name(), Syncgroups: names, Window: window, Self: know.Own().Writer,
		Known: delta.Request(know, scopes), Witnesses: witnesses, Holding: holding, Forgotten: true,
	})
	if err != nil {
		stop()
		return err
	}
	stream := &metered{Stream: opened, ctx: ctx, budget: f.e.budget}
	a := readAhead(stream)
	runner := f.e.firsts.enter(f.db, f.peer)
	var telling sync.WaitGroup
	telling.Go(func() { f.tellElsewhere(ctx, stream, runner) })
	telling.Go(func() { f.tellNews(ctx, stream, runner) })
	err = f.apply(a, &ending{ctx: ctx, asFor: asFor}, turn, runner, scopes)
	f.e.firsts.leave(f.db, runner)
	stop()
	ended := a.end()
	telling.Wait()
	if err == nil {
		err = ended
	}
	return err
}

// apply takes messages, as many at a time as have arrived and fit into a step, until there are no more.
func (f *follower) apply(a *arrivals, ending *ending, turn *turn, runner *runner, asked []id.Scope) error {
	var accepted []id.Scope
	for {
		m, open, err := a.await()
		if !open {
			return err
		}
		if !ending.goOn() {
			return ending.ctx.Err()
		}
		if m.Witnesses != nil {
			f.witnesses = m.Witnesses
			if err := f.db.Examine(m.Witnesses, nil); err != nil {
				return err
			}
		}
		if len(m.Inside) > 0 {
			// The metadata counts as changed by this, so the pull is opened anew and asks for them, too.
			if err := f.db.Track(m.Inside); err != nil {
				return err
			}
		}
		if m.Inventory != nil {
			if err := f.rebase(m.Inventory, accepted); err != nil {
				return err
			}
			continue
		}
		if err := f.endRebase(accepted); err != nil {
			return err
		}
		step := rows.Step{Scopes: accepted}
		size := 0
		for more := true; more; {
			before := len(step.Commits)
			n, err := addMessage(&step, m, asked)
			if err != nil {
				return err
			}
			size += n
			f.hear(&m, recordsOf(step.Commits[before:]))
			if m.Accepted != nil {
				break // what comes next may have to be seen to before any commits
			}
			if m, more = next(a.messages, size, len(step.Commits)); !more {
				break
			}
		}
		accepted = step.Scopes
		if err := f.take(a.stream, runner, step, uint64(size)); err != nil {
			return err
		}
		f.e.noteLeft(f.peer, f.db, f.left)
		if turn.alive(); len(step.Progress) > 0 {
			turn.leave()
			f.e.neighbours.report(f.db, f.peer, false)
		}
	}
}

// next returns another message if one is there already and the step has room.
func next(messages <-chan delta.Message, size, commits int) (delta.Message, bool) {
	if size >= stepBytes || commits >= stepCommits {
		return delta.Message{}, false
	}
	select {
	case m, open := <-messages:
		return m, open
	default:
		return delta.Message{}, false
	}
}

// addMessage adds a message to a step and returns how many bytes of commits it had.
func addMessage(step *rows.Step, m delta.Message, asked []id.Scope) (size int, err error) {
	for _, s := range m.Accepted {
		if !slices.Contains(asked, s) {
			return 0, fmt.Errorf("%w: the scope %s, which was not asked for", rows.ErrRefused, s)
		}
	}
	if m.Accepted != nil {
		step.Scopes = m.Accepted
	}
	commits, err := decode(m.Commits)
	if err != nil {
		return 0, err
	}
	for _, data := range m.Commits {
		size += len(data)
	}
	step.Commits = append(step.Commits, commits...)
	step.Progress = append(step.Progress, m.Progress...)
	return size, nil
}

func recordsOf(commits []wire.Commit) (n int) {
	for i := range commits {
		n += len(commits[i].Records)
	}
	return n
}

// take applies a step and gives credit for it.
func (f *follower) take(stream Stream, runner *runner, step rows.Step, size uint64) error {
	if len(step.Commits)+len(step.Progress) == 0 {
		return nil
	}
	step.From = f.peer.Principal
	got, err := f.db.Receive(step)
	f.e.received(f.db, f.peer, got)
	if err != nil {
		return fmt.Errorf("apply what %s sent: %w", f.peer.Name, err)
	}
	f.e.blame(f.peer, f.db, nil)
	f.e.note(f.peer, f.db, step.Progress)
	f.e.firsts.note(runner, step, size, got.Echoes)
	if size == 0 {
		return nil
	}
	return stream.Credit(size)
}
