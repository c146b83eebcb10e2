package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

const (
	// newsPatience is how long what others pull from this device may take to reach a peer by way of them.
	newsPatience = 500 * time.Millisecond
	// Pauses before a peer that still lacks something, and does not pull, is told again.
	firstNewsPause = time.Second
	lastNewsPause  = 30 * time.Second
)

// audience is who pulls what from this device. Where nobody does, what is written here has no way out, unless those from which this
// device pulls are told that there is something: then they pull in return.
//
// It belongs to one engine and is safe for concurrent use.
type audience struct {
	// mu guards of and all that hangs on it.
	mu sync.Mutex
	of map[*rows.DB]*listeners
}

// listeners are those who pull one database.
type listeners struct {
	// pulls are the open ones of each.
	pulls map[id.Principal]int
	// users are the open pulls, and those who watch them.
	users int
	// since is when somebody last came or went.
	since time.Time
	// changed is closed and replaced when somebody comes or goes.
	changed chan struct{}
}

// watch returns those who pull the database; release has to be called in the end.
func (a *audience) watch(db *rows.DB) *listeners {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil {
		a.of = map[*rows.DB]*listeners{}
	}
	c := a.of[db]
	if c == nil {
		c = &listeners{pulls: map[id.Principal]int{}, since: time.Now(), changed: make(chan struct{})}
		a.of[db] = c
	}
	c.users++
	return c
}

func (a *audience) release(db *rows.DB) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[db].users--; a.of[db].users == 0 {
		delete(a.of, db)
	}
}

// enter adds a pull, which has to leave.
func (a *audience) enter(db *rows.DB, p id.Principal) { a.count(a.watch(db), p, 1) }

func (a *audience) leave(db *rows.DB, p id.Principal) {
	a.mu.Lock()
	c := a.of[db]
	a.mu.Unlock()
	a.count(c, p, -1)
	a.release(db)
}

func (a *audience) count(c *listeners, p id.Principal, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.pulls[p] += n; c.pulls[p] == 0 {
		delete(c.pulls, p)
	}
	c.since = time.Now()
	close(c.changed)
	c.changed = make(chan struct{})
}

// has reports whether the peer pulls; whether it may be that others bring it what it lacks, because they pull or did a moment ago;
// and what is closed when that changes.
func (a *audience) has(c *listeners, p id.Principal) (pulls, others bool, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return c.pulls[p] > 0, len(c.pulls) > 0 || time.Since(c.since) < newsPatience, c.changed
}

// tellNews tells a peer that does not pull from this device when it lacks something that is here, until ctx ends or the stream
// does: at once where nobody pulls from this device, and otherwise if it has not come to the peer by others after a while.
func (f *follower) tellNews(ctx context.Context, stream Stream, r *runner) {
	if !f.peer.HoldsBack {
		return
	}
	c := f.e.audience.watch(f.db)
	defer f.e.audience.release(f.db)
	pause := firstNewsPause
	for ctx.Err() == nil {
		pulls, others, changed := f.e.audience.has(c, f.peer.Principal)
		state, more := f.db.More()
		news, leveled := f.lackedByPeer(state.Know, r)
		var rest <-chan time.Time
		switch {
		case pulls:
			more, leveled, pause = nil, nil, firstNewsPause
		case len(news) == 0:
			pause = firstNewsPause
		case others && !f.stillLacks(ctx, state.Know, r):
			continue
		default:
			if stream.Tell(delta.Elsewhere{News: news}) != nil {
				return
			}
			more, leveled, rest = nil, nil, time.After(pause)
			pause = min(2*pause, lastNewsPause)
		}
		select {
		case <-more:
		case <-leveled:
		case <-changed:
		case <-rest:
		case <-ctx.Done():
		}
	}
}

// stillLacks reports whether the peer lacks some of what is known even after newsPatience.
func (f *follower) stillLacks(ctx context.Context, know *delta.Knowledge, r *runner) bool {
	select {
	case <-time.After(newsPatience):
	case <-ctx.Done():
		return false
	}
	news, _ := f.lackedByPeer(know, r)
	return len(news) > 0
}

// lackedByPeer returns what of the knowledge the peer has neither said it holds nor is asked to hold back, which it would not say;
// nothing until it has sent what was missed. The channel is closed when that or what is held back changes.
func (f *follower) lackedByPeer(know *delta.Knowledge, r *runner) (news []delta.ScopeVector, changed <-chan struct{}) {
	held, scopes, changed := f.e.firsts.heldBack(r)
	theirs := f.e.heldBy(f.peer, f.db)
	if len(theirs) == 0 {
		return nil, changed
	}
	room := maxTold
	for _, s := range scopes {
		i := slices.IndexFunc(theirs, func(v delta.ScopeVector) bool { return v.Scope == s })
		lacked := id.Vector{}
		for w, gen := range know.At(s) {
			_, back := slices.BinarySearchFunc(held, w, id.Writer.Compare)
			if w.Device != f.peer.Device && !back && len(lacked) < room && (i < 0 || gen > theirs[i].Vector[w]) {
				lacked[w] = gen
			}
		}
		if room -= len(lacked); len(lacked) > 0 {
			news = append(news, delta.ScopeVector{Scope: s, Vector: lacked})
		}
	}
	return news, changed
}
