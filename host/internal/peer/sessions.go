package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Status is what is known of one peer.
type Status struct {
	Name      string
	Principal id.Principal
	Device    id.Device
	// Address of the link, or the address that is tried first.
	Address string
	// Via is a source that knows of the peer, "hello" or "command" when only the peer itself or a command has told of the
	// address, or "incoming" for a peer that only calls us.
	Via string
	// Connected reports whether there is a connection in either direction.
	Connected bool
	// LastContact is when something last came from the peer, if only a sign that it is there; zero if nothing has.
	LastContact time.Time
	// BytesIn and BytesOut count what went over the network since the start, connections of both directions together.
	BytesIn, BytesOut uint64
	// Err is why the last attempt to connect failed or the last link ended, nil while a link is up.
	Err error
}

// Sessions are the connections with all peers. Safe for concurrent use.
type Sessions struct {
	opts    Options
	log     hclog.Logger
	traffic tallies
	// wake has a token when the roster may have a dial that is due.
	wake chan struct{}
	// callbacks are connections that peers have made for requests of ours, waiting for Run.
	callbacks chan *channel
	// offered are those that we have made for requests of peers, on their way to the server.
	offered *offers

	// mu guards the fields below it.
	mu       sync.Mutex
	roster   *roster
	claims   claims
	links    map[int]*Link
	incoming map[id.Principal]int
	// refused remembers until when a refusal is not to be logged again.
	refused map[string]time.Time
	// changed is closed and replaced whenever roster or links change.
	changed chan struct{}
}

// New returns sessions that answer once Register was called, and reach out once Run is.
func New(opts Options) (*Sessions, error) {
	opts = opts.withDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	return &Sessions{
		opts:      opts,
		log:       opts.Log,
		wake:      make(chan struct{}, 1),
		callbacks: make(chan *channel, maxCallbacks),
		offered:   newOffers(),
		roster:    newRoster(opts.Device, opts.Rand),
		claims:    claims{opts.Device: opts.Identity.Principal()},
		links:     map[int]*Link{},
		incoming:  map[id.Principal]int{},
		refused:   map[string]time.Time{},
		changed:   make(chan struct{}),
	}, nil
}

// Run keeps up a link to every known peer until ctx ends, then closes them, waits for every goroutine, OnLink's among
// them, and returns nil. Call it once.
func (s *Sessions) Run(ctx context.Context) error {
	var dials sync.WaitGroup
	defer dials.Wait()
	for {
		var orders []order
		var due time.Time
		s.update(func(now time.Time) { orders, due = s.roster.next(now) })
		for _, o := range orders {
			dials.Go(func() { s.pursue(ctx, o) })
		}
		if look := s.watchCopies(); !look.IsZero() && (due.IsZero() || look.Before(due)) {
			due = look
		}
		var timer <-chan time.Time
		if !due.IsZero() {
			timer = time.After(max(0, due.Sub(s.opts.Now())))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case ch := <-s.callbacks:
			dials.Go(func() { s.pursueCallback(ctx, ch) })
		case <-timer:
		}
	}
}

// update changes the state, without telling anybody; see notify.
func (s *Sessions) update(change func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.opts.Now())
}

// notify changes the state and wakes everybody who waits for a change.
func (s *Sessions) notify(change func(now time.Time)) {
	s.update(func(now time.Time) {
		change(now)
		close(s.changed)
		s.changed = make(chan struct{})
	})
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// pursue dials one contact and, when a link comes of it, stays with the link to its end.
func (s *Sessions) pursue(ctx context.Context, o order) {
	link, m, strays, err := s.dial(ctx, o)
	key, kept := 0, false
	s.notify(func(now time.Time) {
		for address, principal := range strays {
			s.roster.strayed(now, o.key, address, principal)
		}
		if err != nil {
			s.roster.failed(now, o.key, err)
			return
		}
		if key, kept = s.roster.reached(now, o.key, m); kept {
			s.links[key] = link
		}
	})
	switch {
	case err != nil:
		s.logFailure(ctx, o, err)
	case !kept:
		link.close(errors.New("there is a link to this peer already"))
	default:
		s.attend(link, key)
	}
}

// attend stays with a link until it is down.
func (s *Sessions) attend(link *Link, key int) {
	p := link.Peer()
	s.log.Info("connected to peer", "name", p.Name, "principal", p.Principal, "device", p.Device, "address", p.Address)
	var offering sync.WaitGroup
	offering.Go(func() { s.offerCallbacks(link) })
	s.opts.OnLink(link.ctx, link)
	<-link.ctx.Done()
	offering.Wait()
	err := link.Err()
	link.close(err)
	s.notify(func(now time.Time) {
		delete(s.links, key)
		s.roster.lost(now, key, link.channel.counted.own.in.Load(), err)
	})
	if errors.Is(err, ErrProtocol) {
		s.log.Warn("link to peer ended", "name", p.Name, "principal", p.Principal, "reason", err)
		return
	}
	s.log.Info("link to peer ended", "name", p.Name, "principal", p.Principal, "reason", err)
}

func (s *Sessions) logFailure(ctx context.Context, o order, err error) {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, ErrRefused), errors.Is(err, ErrProtocol), errors.Is(err, ErrDenied):
		if s.isNews(err.Error()) {
			s.log.Warn("no link to peer", "addresses", o.addresses, "reason", err)
		}
	default:
		s.log.Debug("no link to peer", "addresses", o.addresses, "reason", err)
	}
}

const (
	newsInterval = time.Minute
	maxNews      = 1024
)

// isNews reports whether the text was not logged within the last minute, so that a stubborn peer cannot fill the log.
func (s *Sessions) isNews(text string) (news bool) {
	s.update(func(now time.Time) {
		for t, until := range s.refused {
			if !until.After(now) {
				delete(s.refused, t)
			}
		}
		if _, old := s.refused[text]; old || len(s.refused) == maxNews {
			return
		}
		s.refused[text], news = now.Add(newsInterval), true
	})
	return news
}

// AddAddress tells that a source ("static", "syncgroup", the name of a discovery plugin) knows of a peer at these
// addresses, "host:port". Addresses given together are ways to the same peer and are tried together.
func (s *Sessions) AddAddress(source string, addresses ...string) error {
	for _, a := range addresses {
		if err := checkAddress(a); err != nil {
			return fmt.Errorf("peer: %w", err)
		}
	}
	s.notify(func(now time.Time) { s.roster.sighted(now, source, addresses...) })
	return nil
}

// RemoveAddress tells that the source does not know of the address any more. A link that is up stays up.
func (s *Sessions) RemoveAddress(source string, addresses ...string) {
	s.notify(func(time.Time) {
		for _, a := range addresses {
			s.roster.gone(source, a)
		}
	})
}

// Known returns what is known of every peer, and of addresses at which nobody has answered yet, in the order of names.
func (s *Sessions) Known() (known []Status) {
	s.update(func(time.Time) { known = s.roster.known() })
	for i, k := range known {
		if k.Principal == "" {
			continue
		}
		t := s.traffic.get(k.Principal)
		known[i].BytesIn, known[i].BytesOut = t.in.Load(), t.out.Load()
		if last := t.last(); last.After(k.LastContact) {
			known[i].LastContact = last
		}
	}
	return known
}

// Links returns the links that are up, in the order of the names of the peers.
func (s *Sessions) Links() []*Link {
	var links []*Link
	s.update(func(time.Time) {
		for _, l := range s.links {
			links = append(links, l)
		}
	})
	slices.SortFunc(links, func(a, b *Link) int {
		return cmp.Or(cmp.Compare(a.peer.Name, b.peer.Name), cmp.Compare(a.peer.Principal, b.peer.Principal))
	})
	return links
}

// Connect returns the link to a peer given by its address, its name, its principal or its device, and waits for it if
// need be. It needs Run to be running. An address that nobody told of before is dialed; when that fails, the error says
// why and the address is forgotten again.
func (s *Sessions) Connect(ctx context.Context, target string) (*Link, error) {
	isAddress := checkAddress(target) == nil
	s.notify(func(now time.Time) {
		if isAddress {
			s.roster.sighted(now, sourceCommand, target)
		}
		s.roster.insist(now, target)
	})
	link, err := s.await(ctx, target)
	if err != nil && isAddress {
		s.RemoveAddress(sourceCommand, target)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	return link, nil
}

// await waits until there is a link to the target or an attempt to make one has failed.
func (s *Sessions) await(ctx context.Context, target string) (*Link, error) {
	key, attempts := 0, 0
	for {
		var link *Link
		var err error
		var changed <-chan struct{}
		s.update(func(time.Time) {
			changed = s.changed
			c := s.roster.find(target)
			if c == nil {
				err = ErrUnknown
				return
			}
			if c.key != key {
				key, attempts = c.key, c.attempts
			}
			link = s.links[c.key]
			if c.self {
				err = errSelf
			} else if c.attempts > attempts && !c.dialing {
				err = c.err
			}
		})
		if link != nil {
			return link, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		case <-changed:
		}
	}
}
