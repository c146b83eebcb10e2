package peer

import (
	"cmp"
	"slices"
)

// status returns what is known of a contact.
func (c *contact) status() Status {
	s := Status{
		Name:        c.name,
		Principal:   c.principal,
		Device:      c.device,
		Address:     c.address,
		Via:         c.via,
		Connected:   c.up || c.incoming > 0,
		LastContact: c.lastContact,
		Err:         c.err,
	}
	if !c.up && len(c.addresses) > 0 {
		s.Address = c.preferred()[0]
		s.Via = c.addresses[slices.IndexFunc(c.addresses, func(a address) bool { return a.text == s.Address })].sources[0]
	}
	if told := c.told(); told != "" && (s.Via == "" || s.Via == sourceHello || s.Via == sourceCommand) {
		s.Via = told
	}
	if s.Via == "" && c.incoming > 0 {
		s.Via = sourceIncoming
	}
	return s
}

// told returns the source, the first in alphabetical order, that knows of the contact by itself; empty when only the
// contact or a command has told of it.
func (c *contact) told() (best string) {
	for _, a := range c.addresses {
		for _, source := range a.sources {
			if source != sourceHello && source != sourceCommand && (best == "" || source < best) {
				best = source
			}
		}
	}
	return best
}

// known returns the status of every contact but ourselves, in the order of their names.
func (r *roster) known() []Status {
	all := []Status{}
	for _, c := range r.contacts {
		if !c.self {
			all = append(all, c.status())
		}
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Address, b.Address))
	})
	return all
}

// find returns the contact with that address, name, principal or device.
func (r *roster) find(target string) *contact {
	if c := r.at(target); c != nil {
		return c
	}
	var found *contact
	for _, c := range r.sorted() {
		if c.name == target || string(c.principal) == target || c.device.String() == target {
			if found == nil || c.up {
				found = c
			}
		}
	}
	return found
}
