package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// unheardFor is how long a member may take to hear that this device is one, too. One that serves nothing for longer is passed over
// by a wait, if another answers: it deleted the database, say.
const unheardFor = 3 * time.Second

// Wait waits for at least one other member to be reachable when there are others, since a daemon that has just started
// has not reached anybody yet.
func (s syncgroups) Wait(ctx context.Context, dbName, name id.Name) (int, error) {
	silent := map[id.Principal]time.Time{} // who serves nothing, and since when
	for {
		db, g, err := s.find(dbName, name)
		if err != nil {
			return 0, err
		}
		if !g.State.Synchronises() {
			return 0, fmt.Errorf("%w: this device is no member of %s any more (%s); what it has stays, read-only", api.ErrPrecondition, name, g.Outside)
		}
		if err := pausedHere(db); err != nil {
			return 0, err
		}
		alone, err := s.alone(db, g)
		if err != nil {
			return 0, err
		}
		links, err := s.h.linksTo(db, g)
		if err != nil {
			return 0, err
		}
		links = heard(links, silent)
		if alone || len(links) > 0 {
			done, err := s.level(ctx, db, g, links, silent)
			if err == nil && done {
				err = allApplied(db, g)
			}
			if done || err != nil {
				return countPeers(links), err
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("no other member of %s could be asked: %w", name, ctx.Err())
		case <-time.After(joinPoll):
		}
	}
}

// pausedHere says that nothing can come because syncing is paused on this device itself.
func pausedHere(db *rows.DB) error {
	if !db.Published().Paused {
		return nil
	}
	return fmt.Errorf("%w: syncing of %s is paused on this device; 'syncbase db resume' has it go on", api.ErrPrecondition, db.Name())
}

// heard leaves out who has served nothing for long, unless nobody else is there: it may begin to.
func heard(links []*peer.Link, silent map[id.Principal]time.Time) []*peer.Link {
	var rest []*peer.Link
	for _, l := range links {
		if since, found := silent[l.Peer().Principal]; !found || time.Since(since) <= unheardFor {
			rest = append(rest, l)
		}
	}
	if len(rest) == 0 {
		return links
	}
	return rest
}

// alone reports whether there is no other member that may have anything of the syncgroup.
func (s syncgroups) alone(db *rows.DB, g syncgroup.Group) (bool, error) {
	members, err := syncgroup.Members(db, g.Name)
	if err != nil {
		return false, err
	}
	self := false
	for _, m := range members {
		if m.Principal == s.h.identity.Principal() {
			self = true
			continue
		}
		if with, err := syncgroup.HasMember(db, g, m.Principal); err != nil || with {
			return false, err
		}
	}
	return self, nil
}

// countPeers counts the peers at the other end of links. Copies of one device that run at the same time are one peer: they are one member.
func countPeers(links []*peer.Link) int {
	seen := map[id.Principal]bool{}
	for _, link := range links {
		seen[link.Peer().Principal] = true
	}
	return len(seen)
}

// level reports false when a peer went away, or serves nothing, while it was asked; of the latter it takes note.
func (s syncgroups) level(ctx context.Context, db *rows.DB, g syncgroup.Group, links []*peer.Link, silent map[id.Principal]time.Time) (bool, error) {
	sources := make([]engine.Source, 0, len(links))
	for _, link := range links {
		// Whether a pause lasts is asked anew.
		if fault := s.h.engine.Fault(link.Peer().Principal, db); fault != nil && !errors.Is(fault, engine.ErrPaused) {
			return false, fmt.Errorf("%w: nothing is taken from %s: %w", api.ErrPrecondition, link.Peer().Name, fault)
		}
		sources = append(sources, engine.Source{Peer: enginePeer(link.Peer()), Open: naming(opener(link), link.Peer().Principal)})
	}
	err := s.h.engine.Level(ctx, db, g, sources)
	if here := pausedHere(db); err != nil && here != nil {
		return false, here
	}
	var paused *pausedThere
	if errors.As(err, &paused) {
		return false, fmt.Errorf("%w: %s of %s; have it resumed there", api.ErrPrecondition, paused, db.Name())
	}
	var unserved *unserved
	if errors.As(err, &unserved) {
		if _, found := silent[unserved.by]; !found {
			silent[unserved.by] = time.Now()
		}
		return false, nil
	}
	if errors.Is(err, peer.ErrUnreachable) {
		return false, nil
	}
	return err == nil, err
}

// unserved says who it is that has nothing of a syncgroup for this device.
type unserved struct {
	by  id.Principal
	err error
}

func (u *unserved) Unwrap() error { return u.err }
func (u *unserved) Error() string { return fmt.Sprintf("%s: %v", u.by, u.err) }

// naming has the peer named in errors that say that it serves nothing.
func naming(open engine.Opener, p id.Principal) engine.Opener {
	return func(ctx context.Context, o delta.Open) (engine.Stream, error) {
		stream, err := open(ctx, o)
		if err != nil {
			return nil, named(err, p)
		}
		return namedStream{stream, p}, nil
	}
}

func named(err error, p id.Principal) error {
	if errors.Is(err, peer.ErrNotFound) {
		return &unserved{p, err}
	}
	return err
}

type namedStream struct {
	engine.Stream
	by id.Principal
}

func (s namedStream) Recv() (delta.Message, error) {
	m, err := s.Stream.Recv()
	return m, named(err, s.by)
}
