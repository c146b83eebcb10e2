package discoverymdns

import (
	"context"
	"errors"
	"fmt"
	"io"
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
