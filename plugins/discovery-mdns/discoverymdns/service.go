package discoverymdns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

const (
	// pollInterval is how often the interfaces are looked at.
	pollInterval = 2 * time.Second
	// reopenPause is when a link is tried again that could not be opened along with the others.
	reopenPause = 30 * time.Second
	// arrivalsBuffer is how many packets wait for the loop; the kernel drops what comes on top.
	arrivalsBuffer = 64
)

// Service is multicast DNS as a discovery plugin. One goroutine owns the station and does all sending.
type Service struct {
	interval time.Duration
	net      network
	log      hclog.Logger
	board    *board

	// commands reach the goroutine that owns the station.
	commands chan func(*session)
	stop     context.CancelFunc
	// done is closed when that goroutine has ended.
	done chan struct{}

	// mu guards faults.
	mu sync.Mutex
	// faults are what keeps the service from working fully, by what they are about.
	faults map[string]error
}

var (
	_ discovery.Plugin     = (*Service)(nil)
	_ plugin.HealthChecker = (*Service)(nil)
	_ io.Closer            = (*Service)(nil)
)

// errClosed is returned by calls that come too late.
var errClosed = errors.New("the service is closed")

// The subjects of faults.
const (
	aboutLinks = "interfaces"
	aboutSend  = "sending"
	aboutRoom  = "table"
)

func start(interval time.Duration, net network, log hclog.Logger) *Service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{
		interval: interval,
		net:      net,
		log:      log,
		board:    newBoard(),
		commands: make(chan func(*session)),
		stop:     cancel,
		done:     make(chan struct{}),
		faults:   make(map[string]error),
	}
	go func() {
		defer close(s.done)
		newSession(s).run(ctx)
	}()
	return s
}

// Close says goodbye, if something is still announced, and releases the network.
func (s *Service) Close() error {
	s.stop()
	<-s.done
	return nil
}

// Announce implements discovery.Plugin.
func (s *Service) Announce(ctx context.Context, advert discovery.Advert, published func([]string)) error {
	if err := advert.Validate(); err != nil {
		return fmt.Errorf("advert: %w", err)
	}
	places := make(chan []string, 1)
	if err := s.do(ctx, func(x *session) { x.announce(advert, places) }); err != nil {
		return err
	}
	defer func() {
		// The end of ctx is what brings us here; the goodbye is sent all the same.
		_ = s.do(context.WithoutCancel(ctx), func(x *session) { x.withdraw() })
	}()
	for {
		select {
		case where := <-places:
			published(where)
		case <-ctx.Done():
			return nil
		case <-s.done:
			return errClosed
		}
	}
}

// Watch implements discovery.Plugin.
func (s *Service) Watch(ctx context.Context, report func(discovery.Event) error) error {
	w, known := s.board.join()
	defer func() {
		s.board.leave(w)
		_ = s.do(context.WithoutCancel(ctx), func(x *session) { x.askIfWatched() })
	}()
	if err := s.do(ctx, func(x *session) { x.askIfWatched() }); err != nil {
		return err
	}
	return s.board.follow(ctx, s.done, w, known, report)
}

// do runs fn on the goroutine that owns the station and waits for it.
func (s *Service) do(ctx context.Context, fn func(*session)) error {
	ran := make(chan struct{})
	select {
	case s.commands <- func(x *session) { fn(x); close(ran) }:
		<-ran
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return errClosed
	}
}

// Health implements plugin.HealthChecker.
func (s *Service) Health(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []error
	for _, about := range []string{aboutLinks, aboutSend, aboutRoom} {
		if err := s.faults[about]; err != nil {
			all = append(all, fmt.Errorf("%s: %w", about, err))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", plugin.ErrDegraded, errors.Join(all...))
}

// fault notes or, with nil, clears what keeps the service from working fully; only changes are logged.
func (s *Service) fault(about string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.faults[about]
	s.faults[about] = err
	switch {
	case err != nil && (old == nil || old.Error() != err.Error()):
		s.log.Warn("degraded", "about", about, "error", err)
	case err == nil && old != nil:
		s.log.Info("recovered", "about", about)
	}
}

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
