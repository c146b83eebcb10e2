package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
)

const (
	// joinPatience bounds a join without a target, and is how long it waits for somebody who can be asked.
	joinPatience = 30 * time.Second
	// joinQuiet is how long after the last answer somebody else may still come who has not been asked.
	joinQuiet = 2 * time.Second
	// joinStagger is the head start of one who is asked before the next is asked, too. Whoever admits a member writes that
	// down, so all at once would do it several times.
	joinStagger = 500 * time.Millisecond
	// joinPoll is how often it looks whether somebody new can be reached.
	joinPoll = 100 * time.Millisecond
)

// verdict is what one peer said to a join.
type verdict struct {
	from      peer.Peer
	admission peer.Admission
	err       error
}

// asking is a join that goes round.
type asking struct {
	ask      func(context.Context, *peer.Link) (peer.Admission, error)
	expected func(*peer.Link) bool
	verdicts chan verdict
	asked    map[*peer.Link]bool
	// pending have not answered; answered have, and refused is why the first of them does not let this device in.
	pending, answered int
	refused           error
	// distrust is why those who were reached and do not trust this device, or it them, cannot be asked.
	distrust []string
	// last is when somebody was asked last, quiet since when nothing has happened.
	last, quiet time.Time
}

// askAround asks everybody who can be reached to let this device in, until somebody does or all have answered.
func (s syncgroups) askAround(ctx context.Context, name id.Name, a *asking) (peer.Peer, peer.Admission, error) {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	a.verdicts, a.asked, a.quiet = make(chan verdict), map[*peer.Link]bool{}, time.Now()
	poll := time.NewTicker(joinPoll)
	defer poll.Stop()
	for {
		if link := a.next(s.h.peers.Links()); link != nil {
			a.start(ctx, &all, link)
		}
		if a.pending == 0 && time.Since(a.quiet) >= joinQuiet && (a.answered > 0 || a.strangers(s.h.peers.Known())) {
			return peer.Peer{}, peer.Admission{}, a.failure(name)
		}
		select {
		case v := <-a.verdicts:
			if v.err == nil {
				return v.from, v.admission, nil
			}
			a.take(v)
		case <-poll.C:
		case <-ctx.Done():
			return peer.Peer{}, peer.Admission{}, a.failure(name)
		}
	}
}

// next returns who is to be asked now, if anybody.
func (a *asking) next(links []*peer.Link) *peer.Link {
	if a.pending > 0 && time.Since(a.last) < joinStagger {
		return nil
	}
	for _, link := range links {
		if !a.asked[link] && a.expected(link) {
			return link
		}
	}
	return nil
}

func (a *asking) start(ctx context.Context, all *sync.WaitGroup, link *peer.Link) {
	a.asked[link], a.last, a.quiet = true, time.Now(), time.Now()
	a.pending++
	all.Go(func() {
		admission, err := a.ask(ctx, link)
		select {
		case a.verdicts <- verdict{link.Peer(), admission, err}:
		case <-ctx.Done():
		}
	})
}

func (a *asking) take(v verdict) {
	a.pending--
	a.quiet = time.Now()
	if errors.Is(v.err, peer.ErrUnreachable) {
		return
	}
	a.answered++
	if a.refused == nil && errors.Is(v.err, peer.ErrDenied) {
		a.refused = joinError(v.from.Name, v.err)
	}
}

// strangers reports whether everybody who is known was reached and cannot be asked, as one side does not trust the other.
func (a *asking) strangers(known []peer.Status) bool {
	a.distrust = nil
	for _, k := range known {
		if errors.Is(k.Err, peer.ErrRefused) {
			a.distrust = append(a.distrust, peer.Said(k.Err))
		}
	}
	slices.Sort(a.distrust)
	return len(a.distrust) > 0 && len(a.distrust) == len(known)
}

// failure says why nobody has let this device in.
func (a *asking) failure(name id.Name) error {
	switch {
	case a.refused != nil:
		return a.refused
	case a.pending > 0:
		return fmt.Errorf("%w: %d of %d peers have not answered within %s, and no other admits this device to %s", api.ErrUnavailable, a.pending, len(a.asked), joinPatience, name)
	case a.answered > 0:
		return fmt.Errorf("%w: none of the %d peers that can be reached has the syncgroup %s, or would tell this device of it; if another has, give its address with --peer", api.ErrNotFound, a.answered, name)
	case len(a.distrust) > 0:
		const most = 3
		text := strings.Join(a.distrust[:min(len(a.distrust), most)], "; ")
		if more := len(a.distrust) - most; more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		return fmt.Errorf("%w: nobody who was reached can be asked: %s", api.ErrDenied, text)
	}
	return fmt.Errorf("%w: nobody who could be asked was reached within %s; give an address with --peer", api.ErrUnavailable, joinPatience)
}

// joinError says in words of people why the target did not let this device in.
func joinError(target string, err error) error {
	_, answered := status.FromError(err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, peer.ErrRefused):
		return fmt.Errorf("%w: %s: %s", api.ErrDenied, target, peer.Said(err))
	case errors.Is(err, peer.ErrDenied):
		return fmt.Errorf("%w: %s does not admit this device: %s", api.ErrDenied, target, peer.Said(err))
	case errors.Is(err, peer.ErrPaused):
		return fmt.Errorf("%w: %s has paused syncing of this database; have it resumed there, or join at another member", api.ErrUnavailable, target)
	case errors.Is(err, peer.ErrNotFound):
		return fmt.Errorf("%w: %s has no such syncgroup, or does not admit this device: check the names, and that the access list of the syncgroup gives it Read", api.ErrNotFound, target)
	case errors.Is(err, peer.ErrUnreachable), errors.Is(err, peer.ErrUnknown):
		return fmt.Errorf("%w: %s: %s", api.ErrUnavailable, target, peer.Said(err))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %s has not answered in time", api.ErrUnavailable, target)
	case answered && !errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: %s did not take the request: %s", api.ErrUnavailable, target, peer.Said(err))
	}
	return err
}
