package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// Two devices that create a syncgroup under one name, out of each other's sight, have one each: neither is a member of the
// other's, so they exchange nothing and both are level. They become one when a device of one joins the other. Nobody but the
// people knows whether that is meant, so they are told: each device asks whom it meets what it would be admitted to, and
// a syncgroup of which it is a member itself is not to be among that.

const (
	// askApartEvery is how often a peer is asked for what nothing here gives reason to ask.
	askApartEvery = 15 * time.Minute
	// askAgain is how soon a peer is asked again that has not answered.
	askAgain = 30 * time.Second
	// askBack is how often in that time a peer's own question is reason enough, since asking it is one to the peer, too.
	askBack = 4
	// maxApart bounds what is remembered.
	maxApart = 1000
)

// together names a syncgroup of a database.
type together struct{ db, name id.Name }

func (t together) compare(o together) int { return cmp.Or(t.db.Compare(o.db), t.name.Compare(o.name)) }

// apartKey is a syncgroup here and a peer that has another one of the name.
type apartKey struct {
	together
	peer id.Principal
}

// apartSeen is what is known of that.
type apartSeen struct {
	since         time.Time
	name, address string
}

// apartBook is what peers have said of syncgroups that have the name of one of this device's. Safe for concurrent use.
type apartBook struct {
	// mu guards the fields below it.
	mu   sync.Mutex
	seen map[apartKey]apartSeen
	// asking are peers that have asked this device, and so may have heard of something; changed is closed and replaced when
	// there is another one, or when the syncgroups of this device may have changed.
	asking  map[id.Principal]bool
	changed chan struct{}
}

func newApartBook() *apartBook {
	return &apartBook{seen: map[apartKey]apartSeen{}, asking: map[id.Principal]bool{}, changed: make(chan struct{})}
}

// stir has everybody look again whether there is something to ask; by is who has asked this device, if somebody has.
func (b *apartBook) stir(by id.Principal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if by != "" && len(b.asking) < maxApart {
		b.asking[by] = true
	}
	close(b.changed)
	b.changed = make(chan struct{})
}

// next reports whether the peer has asked this device since the last call, and returns what is closed at the next stir.
func (b *apartBook) next(p id.Principal) (asked bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked = b.asking[p]
	delete(b.asking, p)
	return asked, b.changed
}

// note replaces what is known of a peer, and returns what is new.
func (b *apartBook) note(p peer.Peer, list []together, now time.Time) (fresh []together) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key := range b.seen {
		if key.peer == p.Principal && !slices.Contains(list, key.together) {
			delete(b.seen, key)
		}
	}
	for _, t := range list {
		key := apartKey{t, p.Principal}
		seen, found := b.seen[key]
		if !found && len(b.seen) >= maxApart {
			continue
		}
		if !found {
			seen.since, fresh = now, append(fresh, t)
		}
		seen.name, seen.address = p.Name, p.Address
		if p.Callback {
			seen.address = ""
		}
		b.seen[key] = seen
	}
	return fresh
}

// stance is a syncgroup that this device is a member of, or that has ended here.
type stance struct {
	together
	made  int64
	ended bool
}

// askApart asks a peer what it would admit this device to, until the link ends: at once, when this device has come to be a member
// of something else or something has ended, which the peer may not know either, when the peer asks the same, and now and then.
func (h *Host) askApart(ctx context.Context, link *peer.Link) {
	var last []stance
	var when time.Time
	backs := 0
	for {
		asked, changed := h.apart.next(link.Peer().Principal)
		all, own := h.stances()
		now := h.opts.Seams.Now()
		due := !slices.Equal(all, last) || now.Sub(when) >= askApartEvery || now.Before(when)
		if due {
			backs = 0
		} else if asked {
			backs++
		}
		pause := askApartEvery
		var err error
		if due || asked {
			err = h.askFormer(ctx, link) // which gives the peer no reason to ask
		}
		if due || asked && backs <= askBack {
			last, when = all, now
			err = errors.Join(err, h.findApart(ctx, link, all, own))
		}
		if err != nil && ctx.Err() == nil {
			h.log.Debug("peer does not say what this device may join", "peer", link.Peer().Name, "error", err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			last, pause = nil, askAgain
		}
		again := time.NewTimer(pause)
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
		}
		again.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// stances lists the syncgroups that this device exchanges records of, and with those that have ended here.
func (h *Host) stances() (all []stance, own []together) {
	dbs, _ := h.rows.Databases()
	for _, db := range dbs {
		groups, err := syncgroup.Known(db)
		if err != nil {
			continue // it is going, or whoever needs it says what is wrong
		}
		for _, g := range groups {
			is := stance{together{db.Name(), g.Name}, g.Spec.Made.UnixMicro(), g.State == syncgroup.Destroyed}
			if g.State.Synchronises() {
				own = append(own, is.together)
			}
			if g.State.Synchronises() || is.ended {
				all = append(all, is)
			}
		}
	}
	slices.SortFunc(own, together.compare)
	slices.SortFunc(all, func(a, b stance) int { return a.compare(b.together) })
	return all, own
}

// findApart asks for it. Where this device is a member of nothing, that tells the peer that something has ended, and it may ask back.
func (h *Host) findApart(ctx context.Context, link *peer.Link, all []stance, own []together) error {
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, invitationPatience)
	defer cancel()
	invitations, err := link.Invitations(ctx)
	if err != nil {
		return err
	}
	var found []together
	for _, i := range invitations {
		t := together{i.Database, i.Syncgroup}
		if _, is := slices.BinarySearchFunc(own, t, together.compare); is && h.isApart(t, link.Peer().Principal) {
			found = append(found, t)
		}
	}
	for _, t := range h.apart.note(link.Peer(), found, h.opts.Seams.Now()) {
		h.log.Error("a syncgroup was made on this device and, apart from that, on a peer: they do not sync until a device of one joins the other",
			"syncgroup", t.name, "database", t.db, "peer", link.Peer().Name)
	}
	return nil
}

// isApart reports whether a peer that would admit this device to a syncgroup of this name has another one than this device. One that is a
// member here, or that this device has not heard enough to know, has just not heard of this device yet.
func (h *Host) isApart(t together, p id.Principal) bool {
	db, err := h.rows.Database(t.db)
	if err != nil {
		return false
	}
	g, err := syncgroup.Find(db, t.name)
	if err != nil || g.State != syncgroup.Active {
		return false
	}
	member, err := syncgroup.HasMember(db, g, p)
	return err == nil && !member
}

// alarms tells of the syncgroups that are still apart.
func (b *apartBook) alarms(h *Host) (list []api.Alarm) {
	b.mu.Lock()
	seen := make([]apartKey, 0, len(b.seen))
	of := map[apartKey]apartSeen{}
	for key, s := range b.seen {
		seen, of[key] = append(seen, key), s
	}
	b.mu.Unlock()
	slices.SortFunc(seen, func(a, b apartKey) int { return cmp.Or(a.compare(b.together), cmp.Compare(a.peer, b.peer)) })
	for _, key := range seen {
		if !h.isApart(key.together, key.peer) {
			continue
		}
		s := of[key]
		address := s.address
		if address == "" {
			address = "with its address"
		}
		list = append(list, api.Alarm{
			Kind: "apart", Since: s.since, Principal: key.peer,
			Text: fmt.Sprintf("the syncgroup %s of %s was made on this device and, apart from that, on %s (%s): they do not sync; "+
				"to make them one, run 'syncbase syncgroup join %s %s --peer %s' here; if they are not to be one, destroy one of them and give it another name",
				key.name, key.db, s.name, key.peer, key.db, key.name, address),
		})
	}
	return list
}
