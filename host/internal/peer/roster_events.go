package peer

import (
	"errors"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// met is who answered a dial.
type met struct {
	principal id.Principal
	device    id.Device
	instance  Instance
	name      string
	// address at which it answered, and those that it told of.
	address   string
	addresses []string
}

// reached takes note of a dial that ended in a link. It returns the key of the contact that the link belongs to, or
// false when there is one already, and the new one is to be closed.
func (r *roster) reached(now time.Time, key int, m met) (int, bool) {
	c := r.contacts[key]
	if c == nil {
		return 0, false
	}
	c.dialing = false
	c.attempts++
	if c = r.whose(now, c, m); c == nil {
		return 0, false
	}
	c.know(now, m)
	c.adopt(m.addresses)
	if c.up {
		return 0, false
	}
	c.rise(now, m.address, sourceHello)
	for i := range c.addresses {
		if c.addresses[i].text == m.address {
			c.addresses[i].worked = now
			c.via = c.addresses[i].sources[0]
		}
	}
	return c.key, true
}

// called takes note of a link on a connection that the peer has made; the results are those of reached.
func (r *roster) called(now time.Time, m met) (int, bool) {
	c := r.run(m.principal, m.instance)
	if c == nil && r.of(m.principal) != nil {
		c = r.beside(now, m)
	} else if c == nil {
		c = r.add(now)
	}
	if c == nil {
		return 0, false
	}
	c.know(now, m)
	c.adopt(m.addresses)
	if c.up {
		return 0, false
	}
	c.rise(now, m.address, sourceIncoming)
	return c.key, true
}

// rise takes note that the link of the contact is up.
func (c *contact) rise(now time.Time, address, via string) {
	c.up, c.upSince, c.err, c.self = true, now, nil, false
	c.address, c.via = address, via
}

// merge moves all that is known of from into the contact that it turned out to be.
func (r *roster) merge(into, from *contact) {
	for _, a := range from.addresses {
		for _, source := range a.sources {
			into.learn(a.text, source)
		}
	}
	into.attempts += from.attempts
	into.incoming += from.incoming
	if from.lastContact.After(into.lastContact) {
		into.lastContact = from.lastContact
	}
	delete(r.contacts, from.key)
}

// adopt replaces the addresses that the peer itself told of.
func (c *contact) adopt(texts []string) (news bool) {
	for _, a := range slices.Clone(c.addresses) {
		if !slices.Contains(texts, a.text) {
			c.unlearn(a.text, sourceHello)
		}
	}
	for _, text := range texts {
		if c.learn(text, sourceHello) {
			news = true
		}
	}
	return news
}

// failed takes note of a dial that ended without a link, or of a link that came to nothing before it was up.
func (r *roster) failed(now time.Time, key int, err error) {
	c := r.contacts[key]
	if c == nil {
		return
	}
	c.dialing = false
	c.attempts++
	c.err = err
	c.self = errors.Is(err, errSelf)
	r.backOff(now, c)
	r.drop(c)
	r.retire(c)
}

// strayed takes note that somebody else than expected answered at an address of the contact.
func (r *roster) strayed(now time.Time, key int, text string, principal id.Principal) {
	c := r.contacts[key]
	if c == nil {
		return
	}
	i := slices.IndexFunc(c.addresses, func(a address) bool { return a.text == text })
	if i < 0 {
		return
	}
	sources := slices.DeleteFunc(c.addresses[i].sources, func(source string) bool {
		return source == sourceHello // that was told by the contact, and wrong
	})
	c.addresses = slices.Delete(c.addresses, i, i+1)
	if len(sources) == 0 {
		return
	}
	owner := r.of(principal)
	if owner == nil {
		if owner = r.add(now); owner == nil {
			return
		}
		owner.principal = principal
	}
	for _, source := range sources {
		owner.learn(text, source)
	}
}

// lost takes note that the link of the contact, which brought so many bytes, is down.
func (r *roster) lost(now time.Time, key int, brought uint64, err error) {
	c := r.contacts[key]
	if c == nil || !c.up {
		return
	}
	c.up, c.err = false, err
	if now.Sub(c.upSince) >= steady || brought >= worthwhile {
		c.delay = 0
	}
	r.backOff(now, c)
	r.retire(c)
}

func (r *roster) backOff(now time.Time, c *contact) {
	c.delay = min(max(2*c.delay, minDelay), maxDelay)
	if c.graceless() {
		c.delay = max(c.delay, gracelessDelay)
	}
	wait := c.delay
	if c.self {
		wait = selfDelay
	}
	c.next = now.Add(time.Duration(float64(wait) * (0.75 + 0.5*r.random())))
}

// heard takes note of the first Hello on a connection that a peer has opened to us: it is alive, so it is dialed soon.
func (r *roster) heard(now time.Time, m met) {
	if m.device == r.device {
		return
	}
	c := r.run(m.principal, m.instance)
	if c == nil && r.of(m.principal) != nil {
		if c = r.beside(now, m); c == nil {
			return
		}
	}
	if c == nil {
		for _, text := range m.addresses {
			// Addresses known so far only by themselves are now known to be this peer's, if it is right; the dial will tell.
			if at := r.at(text); at != nil && at.principal == "" && !at.dialing && !at.self {
				c = at
				break
			}
		}
	}
	if c == nil {
		if c = r.add(now); c == nil {
			return
		}
	}
	c.know(now, m)
	c.incoming++
	c.adopt(m.addresses)
	if !c.up && !c.dialing {
		r.hurry(now, c)
	}
}

// left takes note that a connection of which heard was told has closed.
func (r *roster) left(now time.Time, principal id.Principal, instance Instance) {
	if c := r.run(principal, instance); c != nil && c.incoming > 0 {
		c.incoming--
		c.lastContact = now
		r.drop(c)
		r.retire(c)
	}
}
