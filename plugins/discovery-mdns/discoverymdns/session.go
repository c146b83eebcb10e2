package discoverymdns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// session is what the owning goroutine works with.
type session struct {
	service *Service
	station *station
	sockets transport
	links   []link
	// reopenAt is when the sockets are opened anew although no link has changed; a zero time is never.
	reopenAt time.Time
	// places takes where the advert is published; nil while nothing is announced.
	places    chan []string
	published []string
}

func newSession(s *Service) *session {
	return &session{service: s, station: newStation(s.interval, s.net.jitter)}
}

func (x *session) run(ctx context.Context) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	x.refresh()
	for ctx.Err() == nil {
		x.flush()
		if at := x.station.next(); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(0, time.Until(at)))
		}
		arrivals, failed := x.channels()
		select {
		case <-ctx.Done():
		case fn := <-x.service.commands:
			fn(x)
		case a := <-arrivals:
			x.station.receive(time.Now(), a)
		case err := <-failed:
			x.drop(err)
		case <-poll.C:
			x.refresh()
		case <-timer.C:
			x.station.tick(time.Now())
		}
	}
	x.withdraw()
	x.drop(nil)
}

func (x *session) channels() (<-chan arrival, <-chan error) {
	if x.sockets == nil {
		return nil, nil
	}
	return x.sockets.arrivals(), x.sockets.failed()
}

// drop gives up the sockets; the next poll opens new ones.
func (x *session) drop(err error) {
	if x.sockets == nil {
		return
	}
	x.sockets.close()
	x.sockets, x.links = nil, nil
	if err != nil {
		x.service.fault(aboutLinks, err)
	}
}

// refresh follows changes of the interfaces.
func (x *session) refresh() {
	links, err := x.service.net.links()
	if err != nil && len(links) == 0 {
		x.drop(nil)
		x.service.fault(aboutLinks, err)
		return
	}
	if x.sockets != nil && slices.EqualFunc(x.links, links, link.equal) && !due(x.reopenAt, time.Now()) {
		return
	}
	x.drop(nil)
	sockets, joined, openErr := x.service.net.open(links)
	x.service.fault(aboutLinks, errors.Join(err, openErr))
	if sockets == nil {
		return
	}
	x.sockets, x.links, x.reopenAt = sockets, links, time.Time{}
	if openErr != nil {
		x.reopenAt = time.Now().Add(reopenPause)
	}
	x.service.log.Debug("listening", "interfaces", names(joined))
	x.station.setLinks(time.Now(), joined)
	x.publish()
}

func names(links []link) []string {
	out := make([]string, 0, len(links))
	for _, l := range links {
		out = append(out, l.name)
	}
	return out
}

func (x *session) announce(advert discovery.Advert, places chan []string) {
	x.places, x.published = places, nil
	x.station.announce(time.Now(), advert)
	x.publish()
}

func (x *session) withdraw() {
	x.station.withdraw()
	x.flush()
	x.places = nil
}

func (x *session) askIfWatched() { x.station.ask(time.Now(), x.service.board.watched()) }

// publish tells Announce where the advert can be seen, if that has changed.
func (x *session) publish() {
	where := x.station.publishedOn()
	slices.Sort(where)
	if x.places == nil || x.published != nil && slices.Equal(where, x.published) {
		return
	}
	x.published = append([]string{}, where...)
	select {
	case <-x.places:
	default:
	}
	x.places <- where
}

// flush sends what is due and shows what has changed.
func (x *session) flush() {
	var failures []error
	sent := 0
	for _, o := range x.station.takeOut() {
		if x.sockets == nil {
			continue
		}
		if err := x.sockets.send(o); err != nil {
			failures = append(failures, err)
			x.station.unsent(time.Now(), o)
		} else {
			sent++
		}
	}
	switch {
	case sent > 0:
		x.service.fault(aboutSend, nil)
	case len(failures) > 0:
		x.service.fault(aboutSend, failures[0])
	}
	x.service.board.post(x.station.table.changes())
	if x.station.table.refused > 0 {
		x.station.table.refused = 0
		x.service.fault(aboutRoom, fmt.Errorf("there are more than %d nodes; some are not shown", maxNodes))
	} else if x.service.board.size() < maxNodes {
		x.service.fault(aboutRoom, nil)
	}
}
