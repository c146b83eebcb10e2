package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

const (
	// echoBytes of commits of one writer that had come from others before are as many as are borne of a peer until it is asked to
	// hold that writer's back. A commit counts for echoLeast at least, so these are 8 small ones.
	echoBytes = 64 << 10
	echoLeast = echoBytes / 8
	// maxEchoBytes is where that stops growing, which it does whenever the asking proves wrong; it shrinks when it proves right for
	// as long.
	maxEchoBytes = echoBytes << 10
	// maxHeldBack is how many writers a peer is asked to hold back at most, and maxFirsts of how many it is known who brings
	// theirs first.
	maxHeldBack = 1024
	maxFirsts   = 16_384
	// tellEvery is the least time between two words to one peer of what came from elsewhere, and maxTold how many writers' entries
	// one has at most.
	tellEvery = 25 * time.Millisecond
	maxTold   = 16_384
)

// firsts finds out which open pull brings a writer's commits first, so that the others can be asked to hold them back. So each
// change travels to this device along the way that proved to be the shortest, and about once; every pull stays ready to
// bring what did not come.
//
// It belongs to one engine and is safe for concurrent use.
type firsts struct {
	// mu guards of and all that hangs on it.
	mu sync.Mutex
	of map[*rows.DB]*race
}

// race is between the open pulls of one database.
type race struct {
	runners []*runner
	first   map[id.Writer]*runner
}

// runner is an open pull. All of it is guarded by firsts.mu.
type runner struct {
	race   *race
	scopes []id.Scope
	// heeds: the peer holds back what it is asked to. Level: it has sent what was missed.
	heeds, level bool
	echoes       map[id.Writer]*echo
	// changed is closed and replaced when other writers are to be held back.
	changed chan struct{}
}

// echo is how late a pull is with the commits of one writer.
type echo struct {
	// bytes came too late; from limit on they are to be held back. Spared of them were not sent since.
	bytes, limit, spared int
	held                 bool
}

// enter adds a pull, which has to leave.
func (f *firsts) enter(db *rows.DB, p Peer) *runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[*rows.DB]*race{}
	}
	if f.of[db] == nil {
		f.of[db] = &race{first: map[id.Writer]*runner{}}
	}
	r := &runner{race: f.of[db], heeds: p.HoldsBack, echoes: map[id.Writer]*echo{}, changed: make(chan struct{})}
	r.race.runners = append(r.race.runners, r)
	return r
}

// leave ends a pull. What it brought first nobody holds back any more.
func (f *firsts) leave(db *rows.DB, r *runner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.race.runners = slices.DeleteFunc(r.race.runners, func(other *runner) bool { return other == r })
	if len(r.race.runners) == 0 {
		delete(f.of, db)
		return
	}
	for w, first := range r.race.first {
		if first != r {
			continue
		}
		delete(r.race.first, w)
		for _, other := range r.race.runners {
			other.release(w)
		}
	}
}

// note takes down what a step of a pull brought: size bytes of commits, some of them echoes.
func (f *firsts) note(r *runner, step rows.Step, size uint64, echoes []*wire.Commit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r.scopes = step.Scopes
	if !r.level && len(step.Progress) > 0 {
		r.level = true
		r.wake()
	}
	if len(step.Commits) == 0 {
		return
	}
	each := max(echoLeast, int(size)/len(step.Commits))
	for i := range step.Commits {
		c := &step.Commits[i]
		if len(echoes) > 0 && echoes[0] == c {
			echoes = echoes[1:]
			r.late(c.Writer, each)
		} else {
			r.inTime(c.Writer, each)
		}
	}
}

// late: a commit of the writer had come before.
func (r *runner) late(w id.Writer, size int) {
	if !r.level || !r.heeds {
		return // what is caught up on proves nothing
	}
	e := r.echoes[w]
	if e == nil {
		if len(r.echoes) >= maxHeldBack {
			return
		}
		e = &echo{limit: echoBytes}
		r.echoes[w] = e
	}
	e.bytes = min(e.bytes+size, e.limit)
	if !e.held && e.bytes == e.limit && r.race.first[w].replaces(r) {
		e.held = true
		r.wake()
	}
}

// inTime: nobody had brought the commit before. If it was held back, it was wrongly so; whoever holds it back otherwise does well.
func (r *runner) inTime(w id.Writer, size int) {
	if first := r.race.first; first[w] != nil || len(first) < maxFirsts {
		first[w] = r
	}
	for _, other := range r.race.runners {
		if e := other.echoes[w]; other != r && e != nil && e.held {
			e.spare(size)
		}
	}
	e := r.echoes[w]
	switch {
	case e == nil:
	case e.held:
		e.limit, e.spared = min(2*e.limit, maxEchoBytes), 0
		r.release(w)
	default:
		e.bytes = max(0, e.bytes-size)
	}
}

// spare: as much as it took to begin has not been sent twice, so it takes half as much to begin again.
func (e *echo) spare(size int) {
	if e.spared += size; e.spared >= e.limit {
		e.spared, e.limit = 0, max(e.limit/2, echoBytes)
	}
}

// replaces reports whether all that the other pull may bring comes with r, too.
func (r *runner) replaces(other *runner) bool {
	return r != nil && r != other && !slices.ContainsFunc(other.scopes, func(s id.Scope) bool { return !slices.Contains(r.scopes, s) })
}

func (r *runner) release(w id.Writer) {
	if e := r.echoes[w]; e != nil {
		e.bytes = 0
		if e.held {
			e.held = false
			r.wake()
		}
	}
}

func (r *runner) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// heldBack returns the writers that the peer is to hold back, in order, the scopes of the pull, and what is closed when
// there are others.
func (f *firsts) heldBack(r *runner) (writers []id.Writer, scopes []id.Scope, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	writers = []id.Writer{}
	for w, e := range r.echoes {
		if e.held {
			writers = append(writers, w)
		}
	}
	slices.SortFunc(writers, id.Writer.Compare)
	return writers, r.scopes, r.changed
}

// tellElsewhere tells a peer whose commits to hold back, and what of them has come from elsewhere, until ctx ends or the stream
// does, which whoever receives from it hears of.
func (f *follower) tellElsewhere(ctx context.Context, stream Stream, r *runner) {
	if !f.peer.HoldsBack {
		return
	}
	var held []id.Writer
	told := map[id.Scope]id.Vector{}
	for {
		state, more := f.db.More()
		writers, scopes, changed := f.e.firsts.heldBack(r)
		var e delta.Elsewhere
		if !slices.Equal(writers, held) {
			held, e.Writers = writers, writers
			forgetOthers(told, writers)
		}
		e.Known = untold(state.Know, scopes, held, told)
		wait := changed
		var rest <-chan time.Time
		switch {
		case e.Writers != nil || len(e.Known) > 0:
			if stream.Tell(e) != nil {
				return
			}
			more, wait, rest = nil, nil, time.After(tellEvery)
		case len(held) == 0:
			more = nil
		}
		select {
		case <-more:
		case <-wait:
		case <-rest:
		case <-ctx.Done():
			return
		}
	}
}

// untold returns what is known of the writers beyond what was told, and counts it as told.
func untold(know *delta.Knowledge, scopes []id.Scope, writers []id.Writer, told map[id.Scope]id.Vector) (list []delta.ScopeVector) {
	if len(writers) == 0 {
		return nil
	}
	room := maxTold
	for _, s := range scopes {
		all, before, news := know.At(s), told[s], id.Vector{}
		if before == nil {
			before = id.Vector{}
			told[s] = before
		}
		for _, w := range writers {
			if all[w] > before[w] && len(news) < room {
				news[w], before[w] = all[w], all[w]
			}
		}
		if len(news) > 0 {
			list = append(list, delta.ScopeVector{Scope: s, Vector: news})
		}
		room -= len(news)
	}
	return list
}

// forgetOthers leaves what was told of these writers: what it was told of others a peer need not have kept.
func forgetOthers(told map[id.Scope]id.Vector, writers []id.Writer) {
	for _, v := range told {
		maps.DeleteFunc(v, func(w id.Writer, _ uint64) bool {
			_, found := slices.BinarySearchFunc(writers, w, id.Writer.Compare)
			return !found
		})
	}
}
