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
