package peer

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

const (
	minDelay = 200 * time.Millisecond
	maxDelay = 30 * time.Second
	// gracelessDelay is the least wait after a peer that refused us, was refused or broke the protocol.
	gracelessDelay = 5 * time.Second
	// selfDelay is the wait before an address that turned out to be our own is tried again.
	selfDelay = 5 * time.Minute
	// steady is how long a link has to last, or worthwhile how many bytes it has to bring, for the next failure to count as the first.
	steady     = 10 * time.Second
	worthwhile = 256 << 10

	maxContacts         = 4096
	maxContactAddresses = 32
	maxDialing          = 32
)

// Sources of addresses that this package learns by itself.
const (
	sourceHello    = "hello"
	sourceCommand  = "command"
	sourceIncoming = "incoming"
)

// address is one way to a contact, and who told of it.
type address struct {
	text    string
	sources []string
	// worked is when a link was last made through it.
	worked time.Time
}

// contact is a peer, or what will turn out to be one: until somebody has answered at its addresses, principal is empty.
type contact struct {
	key       int
	principal id.Principal
	device    id.Device
	name      string
	addresses []address

	dialing bool
	up      bool
	upSince time.Time
	// self marks addresses at which we answer ourselves.
	self bool
	// incoming counts the connections that the peer has opened to us.
	incoming int
	// instance is the run of the peer's daemon that we are in touch with, or were last, and begun when we first were.
	instance Instance
	begun    time.Time
	// alarmed: it was told of that this is one of several runs.
	alarmed bool

	// attempts counts the dials that have ended.
	attempts int
	// tried is when the last dial began, next when another may begin, delay the wait before next.
	tried, next time.Time
	delay       time.Duration

	lastContact time.Time
	// err is why the last dial failed or the last link ended.
	err error
	// address and via are those of the present or last link.
	address, via string
}

// roster is the state of all peers: a pure core that is fed with what happened, and when, and tells whom to dial. At most
// one link is up for each contact. One contact has any principal, but for one of which several daemons run at the same time,
// see copies.go: each of them is a contact. Not safe for concurrent use.
type roster struct {
	device   id.Device
	random   func() float64
	contacts map[int]*contact
	last     int
}

func newRoster(device id.Device, random func() float64) *roster {
	return &roster{device: device, random: random, contacts: map[int]*contact{}}
}

// order asks for one dial.
type order struct {
	key int
	// principal is who should answer; empty for anybody.
	principal id.Principal
	addresses []string
}

// next returns the dials that are due and the time of the next one after that, zero if there is none.
func (r *roster) next(now time.Time) (orders []order, wake time.Time) {
	dialing := 0
	for _, c := range r.contacts {
		if c.dialing {
			dialing++
		}
	}
	for _, c := range r.sorted() {
		if c.dialing || c.up || len(c.addresses) == 0 {
			continue
		}
		if c.next.After(now) {
			if wake.IsZero() || c.next.Before(wake) {
				wake = c.next
			}
			continue
		}
		if dialing == maxDialing {
			break // the end of a dial comes back here
		}
		dialing++
		c.dialing, c.tried = true, now
		orders = append(orders, order{key: c.key, principal: c.principal, addresses: c.preferred()})
	}
	return orders, wake
}

// sorted returns the contacts that have waited longest first.
func (r *roster) sorted() []*contact {
	all := make([]*contact, 0, len(r.contacts))
	for _, c := range r.contacts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *contact) int {
		return cmp.Or(a.next.Compare(b.next), cmp.Compare(a.key, b.key))
	})
	return all
}

// preferred returns the addresses in the order in which to try them: what worked last comes first.
func (c *contact) preferred() []string {
	sorted := slices.Clone(c.addresses)
	slices.SortStableFunc(sorted, func(a, b address) int { return b.worked.Compare(a.worked) })
	texts := make([]string, len(sorted))
	for i, a := range sorted {
		texts[i] = a.text
	}
	return texts
}

// sighted takes note of addresses, all of one peer, that source tells of. What is new resets the wait.
func (r *roster) sighted(now time.Time, source string, texts ...string) {
	if len(texts) == 0 {
		return
	}
	var c *contact
	for _, text := range texts {
		if c = r.at(text); c != nil {
			break
		}
	}
	if c == nil {
		if c = r.add(now); c == nil {
			return
		}
	}
	for _, text := range texts {
		if at := r.at(text); at != nil && at != c {
			at.learn(text, source)
			continue
		}
		if c.learn(text, source) {
			r.hurry(now, c)
		}
	}
}

// insist lets the contact that find finds be dialed soon, whatever happened before: a person asked for it.
func (r *roster) insist(now time.Time, target string) {
	if c := r.find(target); c != nil && !c.self {
		c.delay, c.next = 0, now
	}
}

// hurry lets the contact be dialed again soon, unless it has given reason to be left alone.
func (r *roster) hurry(now time.Time, c *contact) {
	if c.graceless() {
		return
	}
	c.delay = 0
	c.next = now
	if soonest := c.tried.Add(minDelay); !c.tried.IsZero() && soonest.After(now) {
		c.next = soonest
	}
}

// graceless reports whether the last attempt ended in a way that trying again at once will not change.
func (c *contact) graceless() bool {
	return c.self || errors.Is(c.err, ErrProtocol) || errors.Is(c.err, ErrRefused) || errors.Is(c.err, ErrDenied)
}

// learn reports whether the contact did not have the address from this source.
func (c *contact) learn(text, source string) bool {
	i := slices.IndexFunc(c.addresses, func(a address) bool { return a.text == text })
	if i < 0 {
		if len(c.addresses) == maxContactAddresses {
			return false
		}
		c.addresses = append(c.addresses, address{text: text, sources: []string{source}})
		return true
	}
	if slices.Contains(c.addresses[i].sources, source) {
		return false
	}
	c.addresses[i].sources = append(c.addresses[i].sources, source)
	return true
}

// unlearn forgets that source told of the address; an address that nobody tells of is dropped.
func (c *contact) unlearn(text, source string) {
	c.addresses = slices.DeleteFunc(c.addresses, func(a address) bool {
		if a.text != text {
			return false
		}
		i := slices.Index(a.sources, source)
		return len(a.sources) == 1 && i == 0
	})
	for i := range c.addresses {
		if a := &c.addresses[i]; a.text == text {
			a.sources = slices.DeleteFunc(a.sources, func(s string) bool { return s == source })
		}
	}
}

// gone forgets that source told of the address. A link through it stays up for as long as it lasts.
func (r *roster) gone(source, text string) {
	if c := r.at(text); c != nil {
		c.unlearn(text, source)
		r.drop(c)
	}
}

// drop removes a contact that nobody has a use for: never met, and nowhere to be found.
func (r *roster) drop(c *contact) {
	if len(c.addresses) == 0 && !c.dialing && !c.up && c.incoming == 0 && (c.principal == "" || c.self) {
		delete(r.contacts, c.key)
	}
}

func (r *roster) at(text string) *contact {
	for _, c := range r.contacts {
		if slices.ContainsFunc(c.addresses, func(a address) bool { return a.text == text }) {
			return c
		}
	}
	return nil
}

// of returns the contact with the principal; of several, one that we are in touch with.
func (r *roster) of(principal id.Principal) *contact {
	var found *contact
	for _, c := range r.contacts {
		if c.principal == principal && (found == nil || better(c, found)) {
			found = c
		}
	}
	return found
}

// add returns a new contact, nil when the roster is full of contacts that cannot be forgotten.
func (r *roster) add(now time.Time) *contact {
	if len(r.contacts) >= maxContacts && !r.forgetOne() {
		return nil
	}
	r.last++
	c := &contact{key: r.last, next: now}
	r.contacts[c.key] = c
	return c
}

// forgetOne forgets the contact that was out of touch for longest, if one can be spared.
func (r *roster) forgetOne() bool {
	var oldest *contact
	for _, c := range r.contacts {
		if c.up || c.dialing || c.incoming > 0 || len(c.addresses) > 0 {
			continue
		}
		if oldest == nil || c.lastContact.Before(oldest.lastContact) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	delete(r.contacts, oldest.key)
	return true
}
