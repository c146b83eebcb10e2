// Package skew estimates by how much the clock of the machine is wrong.
//
// An Estimate is told what the clock and the machine's uptime say, what a time server says and what a peer says, and
// answers with a better estimate or with the reason why it stays as it is. It guarantees that without a time server, its
// own or one that a peer has asked, it says what the machine's clock says; and that no peer is believed beyond MaxHops
// devices from the server, nor against a fresher answer of one.
//
// The package is a pure core: it reads no clock and sends nothing. It must not know where estimates are kept nor what
// hangs on them. Read Estimate first, then Estimate.Tick, TimeServer and Peer.
package skew

import (
	"errors"
	"fmt"
	"time"
)

// Bounds of what is believed.
const (
	// JumpTolerance is how far the clock may move against uptime in one tick without having been set by somebody.
	JumpTolerance = time.Second
	// ServerTolerance is the offset from a time server below which nothing is corrected: the path to it is not better.
	ServerTolerance = 2 * time.Second
	// PeerTolerance is the same for an offset from a peer.
	PeerTolerance = 2 * time.Second
	// RebootTolerance is the greatest offset that is taken from a peer that restarted since its time server answered:
	// across a restart it relies on a hardware clock, and a large offset says that this one failed.
	RebootTolerance = time.Minute
	// MaxHops is how many devices an answer of a time server may travel through.
	MaxHops = 2
	// MaxSkew bounds an estimate, so that times stay within what hybrid times can hold.
	MaxSkew = 40 * 365 * 24 * time.Hour
)

// Reading is what a machine says at one moment.
type Reading struct {
	// Clock is the wall clock.
	Clock time.Time
	// Uptime since the machine started, including sleep.
	Uptime time.Duration
}

// boot is when the machine started, by its clock as it is now.
func (r Reading) boot() time.Time { return r.Clock.Add(-r.Uptime) }

// Estimate says how wrong a clock is. The zero Estimate believes the clock. It is kept as JSON; fields are only added.
type Estimate struct {
	// Skew is true time minus the machine's clock.
	Skew time.Duration `json:"skew"`
	// Last is the reading that Skew belongs to.
	Last Reading `json:"last"`
	// Server is when a time server last answered, by its own clock: asked by this device or, Hops devices away, by
	// another. Zero when none ever has.
	Server time.Time `json:"server"`
	Hops   uint16    `json:"hops,omitempty"`
	// Reboots counts restarts since then, of every device on the way.
	Reboots uint16 `json:"reboots,omitempty"`
}

// At returns the time when the machine's clock says so.
func (e Estimate) At(clock time.Time) time.Time { return clock.Add(e.Skew) }

// Informed reports whether a time server has ever answered.
func (e Estimate) Informed() bool { return !e.Server.IsZero() }

// Tick takes in a reading: a smaller uptime is a restart, and a clock that moved against the uptime was set by somebody.
// Once a time server has answered, such a move is made good, so that the estimate goes on as if nothing had happened;
// without one whoever set the clock knows better (docs/decisions/0024).
func (e Estimate) Tick(now Reading) Estimate {
	last := e.Last
	e.Last = now
	if last.Clock.IsZero() {
		return e
	}
	if now.Uptime < last.Uptime {
		e.Reboots = inc(e.Reboots, 1)
		return e
	}
	moved := now.boot().Sub(last.boot())
	if e.Informed() && moved.Abs() > JumpTolerance {
		e.Skew = bound(e.Skew - moved)
	}
	return e
}

// Exchange is a question and its answer, timed at both ends (RFC 5905, section 8).
type Exchange struct {
	// Asked and Heard are the asking side before and after.
	Asked, Heard Reading
	// Received and Replied are the answering side's clock.
	Received, Replied time.Time
}

// Errors of what is not believed.
var (
	ErrJumped = errors.New("the clock was set during the exchange")
	ErrSample = errors.New("the times of the exchange contradict each other")
)

// offset returns answering clock minus asking clock, and how long the exchange was under way.
func (x Exchange) offset() (offset, delay time.Duration, err error) {
	uptime := x.Heard.Uptime - x.Asked.Uptime
	if clock := x.Heard.Clock.Sub(x.Asked.Clock); clock < 0 || uptime < 0 || (clock-uptime).Abs() > JumpTolerance {
		return 0, 0, ErrJumped
	}
	there := x.Replied.Sub(x.Received)
	delay = x.Heard.Clock.Sub(x.Asked.Clock) - there
	if there < 0 || delay < 0 {
		return 0, 0, ErrSample
	}
	return (x.Received.Sub(x.Asked.Clock) + x.Replied.Sub(x.Heard.Clock)) / 2, delay, nil
}

// TimeServer takes in the answers of a time server. The one that was under way for the shortest time counts; those that
// make no sense are left out, and without any other nothing changes. The clock may be found to be ahead as well as behind.
func (e Estimate) TimeServer(answers []Exchange) (Estimate, error) {
	var best *Exchange
	var skew, shortest time.Duration
	err := errors.New("no answer")
	for i := range answers {
		o, d, wrong := answers[i].offset()
		if wrong != nil {
			err = wrong
			continue
		}
		if best == nil || d < shortest {
			best, skew, shortest = &answers[i], o, d
		}
	}
	if best == nil {
		return e, err
	}
	e = e.Tick(best.Heard)
	if (skew - e.Skew).Abs() > ServerTolerance {
		e.Skew = bound(skew)
	}
	e.Server, e.Hops, e.Reboots = best.Replied, 0, 0
	return e, nil
}

// Witness is what a peer says of its own estimate. It is not trusted further than Peer checks it.
type Witness struct {
	Server        time.Time
	Hops, Reboots uint16
}

// ErrNotBetter is wrapped by the reasons for which a peer is not followed.
var ErrNotBetter = errors.New("the peer's time is not better")

// Peer takes in the answer of a peer, whose times are estimates like ours. It follows only a peer that has an answer of a
// time server that is fresher than ours, has come through few devices, and is not put in doubt by restarts.
func (e Estimate) Peer(x Exchange, w Witness) (Estimate, error) {
	theirs, _, err := x.offset()
	if err != nil {
		return e, err
	}
	e = e.Tick(x.Heard)
	change := theirs - e.Skew
	switch {
	case w.Server.IsZero():
		return e, fmt.Errorf("%w: it has asked no time server", ErrNotBetter)
	case !w.Server.After(e.Server):
		return e, fmt.Errorf("%w: its time server answered at %v, ours at %v", ErrNotBetter, w.Server, e.Server)
	case w.Server.After(x.Replied.Add(ServerTolerance)):
		return e, fmt.Errorf("%w: its time server answered at %v, which is in its future", ErrNotBetter, w.Server)
	case w.Hops >= MaxHops:
		return e, fmt.Errorf("%w: it came through %d devices", ErrNotBetter, w.Hops)
	case change.Abs() < PeerTolerance:
		return e, fmt.Errorf("%w: it differs by only %v", ErrNotBetter, change)
	case w.Reboots > 0 && change.Abs() > RebootTolerance:
		return e, fmt.Errorf("%w: it differs by %v and was restarted since it asked", ErrNotBetter, change)
	}
	e.Skew = bound(theirs)
	e.Server, e.Hops, e.Reboots = w.Server, w.Hops+1, w.Reboots
	return e, nil
}

// Validate checks an estimate that was kept.
func (e Estimate) Validate() error {
	if e.Skew.Abs() > MaxSkew {
		return fmt.Errorf("a clock cannot be wrong by %v", e.Skew)
	}
	return nil
}

func bound(d time.Duration) time.Duration { return max(-MaxSkew, min(MaxSkew, d)) }

// inc adds without wrapping around.
func inc(a, b uint16) uint16 { return a + min(b, 1<<16-1-a) }
