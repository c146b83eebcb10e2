package peer

import (
	"cmp"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Where somebody copied a data directory with its identity, and both daemons run, there are two under one principal. Each
// of them writes, so each is a contact with a link of its own; that they exist is an alarm all the same. What tells them apart is
// the instance of their Hello. A daemon that was restarted has another instance too, while the connections of its former
// run may not have been found dead yet: so the alarm waits until such connections have had the time to die.

// copiesAfter is how long two runs of one daemon have to be in touch side by side before they are taken for copies.
const copiesAfter = pingAfter + pingTimeout + 5*time.Second

// alive reports whether we are in touch with the contact.
func (c *contact) alive() bool { return c.up || c.incoming > 0 }

// know takes note of who the contact is.
func (c *contact) know(now time.Time, m met) {
	if c.instance != m.instance || c.begun.IsZero() {
		c.begun, c.alarmed = now, false
	}
	c.principal, c.device, c.instance, c.name, c.lastContact = m.principal, m.device, m.instance, m.name, now
}

// better says which of two contacts with one principal counts: one that we are in touch with, the older of two such.
func better(a, b *contact) bool {
	if a.alive() != b.alive() {
		return a.alive()
	}
	return a.key < b.key
}

// other reports whether the contact is another run than that of the instance, and there may be both.
func (c *contact) other(instance Instance) bool {
	return c.alive() && c.instance != instance && c.instance != (Instance{}) && instance != (Instance{})
}

// run returns the contact that is, or may be, a run of the principal: one that we know of nothing else than that, or are
// not in touch with now. It is nil if all that is known of are other runs.
func (r *roster) run(principal id.Principal, instance Instance) *contact {
	var found *contact
	for _, c := range r.contacts {
		if c.principal != principal || c.other(instance) {
			continue
		}
		if found == nil || c.instance == instance && found.instance != instance || (c.instance == instance) == (found.instance == instance) && better(c, found) {
			found = c
		}
	}
	return found
}

// whose returns the contact that a link belongs to, which the dial of a contact has led to; nil if it is of no use.
func (r *roster) whose(now time.Time, dialed *contact, m met) *contact {
	owner := r.run(m.principal, m.instance)
	mixed := dialed.principal == m.principal && dialed.other(m.instance)
	switch {
	case owner == dialed:
	case mixed && owner != nil:
		// The address is that of a run which has a contact already. It moves there.
		r.move(owner, dialed, m.address)
		r.backOff(now, dialed)
		return owner
	case mixed:
		r.backOff(now, dialed)
		return r.beside(now, m)
	case owner != nil:
		r.merge(owner, dialed)
	}
	if owner == nil {
		owner = dialed
	}
	return owner
}

// beside makes a contact for a run whose daemon we are in touch with another run of. It is nil when the roster is full.
func (r *roster) beside(now time.Time, m met) *contact {
	c := r.add(now)
	if c == nil {
		return nil
	}
	c.know(now, m)
	for _, from := range r.contacts {
		if from == c || from.principal != m.principal {
			continue
		}
		for _, text := range append(slices.Clone(m.addresses), m.address) {
			r.move(c, from, text)
		}
	}
	return c
}

// move takes an address, with who told of it, from one contact to another.
func (r *roster) move(to, from *contact, text string) {
	i := slices.IndexFunc(from.addresses, func(a address) bool { return a.text == text })
	if i < 0 {
		return
	}
	for _, source := range from.addresses[i].sources {
		to.learn(text, source)
	}
	from.addresses = slices.Delete(from.addresses, i, i+1)
}

// retire lets a contact that we are not in touch with any more go up in another with its principal: only of what runs at the
// same time are there several.
func (r *roster) retire(c *contact) {
	if c.alive() || c.dialing || c.principal == "" || r.contacts[c.key] != c {
		return
	}
	var into *contact
	for _, other := range r.contacts {
		if other != c && other.principal == c.principal && (into == nil || better(other, into)) {
			into = other
		}
	}
	if into != nil {
		r.merge(into, c)
	}
}

// Copies are daemons that run at the same time with the keys of one device.
type Copies struct {
	Principal id.Principal
	Name      string
	// Addresses at which they are reached, as far as they are; one of them for each daemon, empty where it is not reached.
	Addresses []string
	// Since is when the second of them was first heard of.
	Since time.Time
}

// copies returns the principals of which several daemons run, and when that may be true of more of them; zero if never.
func (r *roster) copies(now time.Time) (list []Copies, wake time.Time) {
	runs := map[id.Principal][]*contact{}
	for _, c := range r.contacts {
		if c.principal != "" && c.alive() && !c.self {
			runs[c.principal] = append(runs[c.principal], c)
		}
	}
	for principal, all := range runs {
		if len(all) < 2 {
			continue
		}
		slices.SortFunc(all, func(a, b *contact) int { return cmp.Or(a.begun.Compare(b.begun), cmp.Compare(a.key, b.key)) })
		if due := all[1].begun.Add(copiesAfter); due.After(now) {
			if wake.IsZero() || due.Before(wake) {
				wake = due
			}
			continue
		}
		found := Copies{Principal: principal, Name: all[0].name, Since: all[1].begun}
		for _, c := range all {
			found.Addresses = append(found.Addresses, c.status().Address)
		}
		list = append(list, found)
	}
	slices.SortFunc(list, func(a, b Copies) int { return cmp.Compare(a.Principal, b.Principal) })
	return list, wake
}

// unalarmed returns those copies of which not all have been told of, and takes them for told of.
func (r *roster) unalarmed(list []Copies) (fresh []Copies) {
	for _, found := range list {
		news := false
		for _, c := range r.contacts {
			if c.principal == found.Principal && c.alive() && !c.alarmed {
				c.alarmed, news = true, true
			}
		}
		if news {
			fresh = append(fresh, found)
		}
	}
	return fresh
}

// Copies returns the devices of which several daemons are in touch with this one at the same time.
func (s *Sessions) Copies() (list []Copies) {
	s.update(func(now time.Time) { list, _ = s.roster.copies(now) })
	return list
}

// watchCopies tells of copies that were not told of yet, and returns when to look again; zero if nothing is due.
func (s *Sessions) watchCopies() (wake time.Time) {
	var fresh []Copies
	s.update(func(now time.Time) {
		var all []Copies
		all, wake = s.roster.copies(now)
		fresh = s.roster.unalarmed(all)
	})
	for _, c := range fresh {
		s.opts.OnCopies(c)
	}
	return wake
}
