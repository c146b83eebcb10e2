package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Seat is a resolver of an application. One goroutine at a time may use it.
type Seat struct {
	desk *desk
	// offer is what is out, nil if nothing is.
	offer *Offer
}

// Offer is a group to be decided by one seat.
type Offer struct {
	// Number names the offer.
	Number uint64
	rows.Group
}

// Next waits for a group that is to be decided. What was offered before and has no answer is passed on. The error is that of
// ctx, or says that the database is gone.
func (s *Seat) Next(ctx context.Context) (*Offer, error) {
	s.Pass()
	for {
		if err := s.desk.db.Err(); err != nil {
			return nil, err
		}
		_, more := s.desk.db.More()
		wake := s.desk.waiting()
		e, found := s.desk.next(s)
		if !found {
			select {
			case <-wake:
			case <-more: // the database may be gone
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			continue
		}
		offer, err := s.desk.lease(e)
		if err != nil {
			return nil, err
		}
		if offer != nil {
			s.offer = offer
			return offer, nil
		}
	}
}

// next takes the first row from the queue that the seat may have.
func (d *desk) next(s *Seat) (entry, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at := 0; at < len(d.queue); {
		e := d.queue[at]
		rests := d.rests[e.ref] // since it was queued
		if !rests && (d.leased[e.ref] || e.avoid == s && d.seats > 1) {
			at++
			continue
		}
		d.queue = slices.Delete(d.queue, at, at+1)
		delete(d.queued, e.ref)
		if len(d.queue) == 0 && d.more {
			d.stir() // run finds the others
		}
		if !rests {
			return e, true
		}
	}
	return entry{}, false
}

// lease reads the group of a row; it returns nil when there is nothing to offer, or not to a seat, or not now.
func (d *desk) lease(e entry) (*Offer, error) {
	g, err := d.db.ConflictGroup(e.ref)
	if errors.Is(err, rows.ErrNoConflict) || errors.Is(err, rows.ErrNoCollection) || err == nil && g.Choice.Method != merge.App {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range g.Conflicts {
		if d.leased[g.Conflicts[i].ConflictRef] {
			// It has joined a group that somebody is deciding: it comes back when that is over.
			d.blocked = append(d.blocked, e)
			return nil, nil
		}
	}
	d.offers++
	o := &Offer{Number: d.offers, Group: g}
	for i := range g.Conflicts {
		d.leased[g.Conflicts[i].ConflictRef] = true
	}
	return o, nil
}

// Pass gives back what was offered, so that it is offered again, rather to another seat.
func (s *Seat) Pass() { s.end(func(d *desk, e entry) { d.enqueue(entry{ref: e.ref, avoid: s}) }) }

// end takes back the offer that is out. What to do with its rows is done with the lock held.
func (s *Seat) end(then func(d *desk, e entry)) {
	if s.offer == nil {
		return
	}
	d := s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range s.offer.Conflicts {
		c := &s.offer.Conflicts[i]
		delete(d.leased, c.ConflictRef)
		if c.Open() {
			then(d, entry{ref: c.ConflictRef})
		}
	}
	s.offer = nil
	for _, e := range d.blocked {
		d.enqueue(e)
	}
	d.blocked = nil
	d.stir()
}

// Answer resolves the group of an offer. It needs an answer for each row in conflict, and may have one for the others.
// After an error nothing has changed, and the group will be offered again. Errors: ErrPassed, and those of rows.DB.Resolve.
func (s *Seat) Answer(number uint64, list []rows.Resolution, guard rows.Guard) ([]id.Version, error) {
	if s.offer == nil || s.offer.Number != number {
		return nil, fmt.Errorf("%w: %d", ErrPassed, number)
	}
	offer := s.offer
	err := offer.fill(list)
	var versions []id.Version
	if err == nil {
		versions, err = s.desk.db.Resolve(list, guard)
	}
	switch {
	case err == nil:
		s.end(func(d *desk, e entry) { delete(d.tries, e.ref) })
	case errors.Is(err, rows.ErrConflict), errors.Is(err, rows.ErrNoConflict):
		s.end(func(d *desk, e entry) { d.enqueue(e) })
	default:
		s.Refuse(err)
	}
	return versions, err
}

// Refuse gives back what was offered because the answer to it was none, or did not come.
func (s *Seat) Refuse(err error) {
	if s.offer == nil {
		return
	}
	if errors.Is(err, ErrPassed) {
		s.Pass()
		return
	}
	s.end(func(d *desk, e entry) { d.putAway(e.ref) })
}

// fill checks an answer against the offer, and says for each row between which versions was decided.
func (o *Offer) fill(list []rows.Resolution) error {
	answered, places := map[rows.ConflictRef]bool{}, map[rows.ConflictRef]int{}
	for i := range o.Conflicts {
		places[o.Conflicts[i].ConflictRef] = i
	}
	for i := range list {
		r := &list[i]
		at, found := places[r.ConflictRef]
		if !found {
			return fmt.Errorf("%w: an answer for %s, which is not in the group", rows.ErrInvalid, r.ConflictRef)
		}
		r.Siblings = nil
		for _, s := range o.Conflicts[at].Siblings {
			r.Siblings = append(r.Siblings, s.Version)
		}
		answered[r.ConflictRef] = true
	}
	for i := range o.Conflicts {
		if c := &o.Conflicts[i]; c.Open() && !answered[c.ConflictRef] {
			return fmt.Errorf("%w: no answer for %s, which is in conflict", rows.ErrInvalid, c.ConflictRef)
		}
	}
	return nil
}

// Close leaves the desk. What was offered is offered to others.
func (s *Seat) Close() {
	s.Pass()
	d := s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats--
	d.stir()
}
