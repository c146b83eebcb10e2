package supervise

import (
	"fmt"
	"time"
)

// Deadlines of the states and the rhythm of restarts. Variables of the protocol, not of the site: the documentation of
// the plugin services names them.
const (
	VerifyTimeout    = time.Minute
	StartTimeout     = 10 * time.Second
	DescribeTimeout  = 2 * time.Second
	ValidateTimeout  = 10 * time.Second
	ConfigureTimeout = 30 * time.Second
	HealthInterval   = 5 * time.Second
	HealthTimeout    = 2 * time.Second
	healthMisses     = 3
	drainMargin      = time.Second // for the answer to Drain, on top of the grace for calls in flight
	terminateTimeout = 2 * time.Second
	killTimeout      = 5 * time.Second

	backoffFirst = 200 * time.Millisecond
	backoffMax   = 30 * time.Second
	backoffReset = time.Minute // ready for so long, and the next failure counts as the first

	loopRestarts = 5
	loopWindow   = time.Minute
)

// Event is something that happened.
type Event struct {
	Kind EventKind
	// Attempt is the attempt that the event belongs to, as returned by Machine.Attempt when the action was given.
	Attempt int
	// Reason explains Failed, Exited and Sick; with Healthy it may carry a remark.
	Reason string
	// Output, which Failed and Exited may carry, is what the process said last, as an addition to the reason of its end.
	Output string
	// Grace is how long calls in flight may take after Stop.
	Grace time.Duration
}

// Action is something to do.
type Action struct {
	Kind ActionKind
	// Timeout is how long the driver may take; 0 with actions that take no time.
	Timeout time.Duration
}

// Machine supervises one process after the other for one configuration. It is not safe for concurrent use.
type Machine struct {
	jitter func() float64

	state    State
	attempt  int       // counts the processes, from 1
	deadline time.Time // of the state; zero when it has none
	reason   string    // why the last attempt failed, or what the plugin says about its health
	stopping bool
	spawning bool // Spawn has no answer yet
	mute     bool // the process is killed because it gave no answer

	failures   int // in a row, for the backoff
	readySince time.Time
	restarts   []time.Time // within loopWindow
	looping    bool

	probing  bool
	misses   int
	nextPing time.Time
}

// New returns a stopped machine. The function jitter yields numbers in [0, 1); restarts of many plugins are spread by it.
func New(jitter func() float64) *Machine {
	return &Machine{jitter: jitter}
}

// State returns where the machine stands.
func (m *Machine) State() State { return m.state }

// Attempt counts the processes that were tried, including the present one.
func (m *Machine) Attempt() int { return m.attempt }

// Reason says why the machine is not ready, or what the plugin remarked about its health.
func (m *Machine) Reason() string { return m.reason }

// Next returns when the machine wants a Tick; ok is false when it waits for events only.
func (m *Machine) Next() (next time.Time, ok bool) {
	next = m.deadline
	if m.state.Serving() && !m.probing {
		next = m.nextPing
	}
	return next, !next.IsZero()
}

// Handle takes one event and returns what to do, in order.
func (m *Machine) Handle(now time.Time, ev Event) []Action {
	switch ev.Kind {
	case Start:
		if m.state == Stopped && !m.stopping {
			return m.launch(now)
		}
		return nil
	case Stop:
		return m.stop(now, ev.Grace)
	case Tick:
		return m.tick(now)
	default:
		if ev.Attempt != m.attempt {
			return nil
		}
		return m.report(now, ev)
	}
}

// report handles what the driver says about the present process.
func (m *Machine) report(now time.Time, ev Event) []Action {
	switch {
	case m.state == Stopped || m.state == Backoff:
		return nil
	case ev.Kind == Exited:
		return m.gone(now, ev.Reason, ev.Output)
	case ev.Kind == Healthy || ev.Kind == Sick:
		return m.health(now, ev)
	case m.state == Draining: // Done or Failed: both end it
		return m.terminate(now)
	case ev.Kind == Done:
		return m.advance(now)
	case ev.Kind == Failed:
		return m.fail(now, ev)
	}
	return nil
}

func (m *Machine) launch(now time.Time) []Action {
	m.attempt++
	return m.enter(now, Verifying, Verify, VerifyTimeout)
}

// enter moves to a state that waits for the driver.
func (m *Machine) enter(now time.Time, state State, action ActionKind, timeout time.Duration) []Action {
	m.state = state
	m.deadline = now.Add(timeout)
	return []Action{{Kind: action, Timeout: timeout}}
}

func (m *Machine) advance(now time.Time) []Action {
	switch m.state {
	case Verifying:
		m.spawning = true
		return m.enter(now, Starting, Spawn, StartTimeout)
	case Starting:
		m.spawning = false
		return m.enter(now, Describing, Describe, DescribeTimeout)
	case Describing:
		return m.enter(now, Configuring, Configure, ConfigureTimeout)
	case Configuring:
		m.state, m.deadline, m.reason = Ready, time.Time{}, ""
		m.readySince, m.misses, m.probing = now, 0, false
		m.nextPing = now.Add(HealthInterval)
		return []Action{{Kind: Publish}}
	case Killing: // too late; Exited follows
		m.spawning = false
	}
	return nil
}

// fail handles an action that did not work.
func (m *Machine) fail(now time.Time, ev Event) []Action {
	switch m.state {
	case Verifying, Starting:
		return m.gone(now, ev.Reason, ev.Output)
	case Describing, Configuring:
		m.reason = ev.Reason
		return m.kill(now)
	case Killing:
		if m.spawning { // it was cut short, and nothing is left
			return m.gone(now, ev.Reason, ev.Output)
		}
	}
	return nil
}

func (m *Machine) health(now time.Time, ev Event) []Action {
	if !m.state.Serving() {
		return nil
	}
	m.probing = false
	if ev.Kind == Healthy {
		m.state, m.misses, m.reason = Ready, 0, ev.Reason
		return nil
	}
	m.misses++
	m.state = Unhealthy
	m.reason = fmt.Sprintf("health check failed %d of %d times: %s", m.misses, healthMisses, ev.Reason)
	if m.misses < healthMisses {
		return nil
	}
	return append([]Action{{Kind: Retract}}, m.kill(now)...)
}

func (m *Machine) tick(now time.Time) []Action {
	if m.state.Serving() {
		if m.probing || now.Before(m.nextPing) {
			return nil
		}
		m.probing = true
		m.nextPing = now.Add(HealthInterval)
		return []Action{{Kind: Probe, Timeout: HealthTimeout}}
	}
	if m.deadline.IsZero() || now.Before(m.deadline) {
		return nil
	}
	return m.expire(now)
}

// expire handles a state that has lasted too long.
func (m *Machine) expire(now time.Time) []Action {
	switch m.state {
	case Backoff:
		return append(m.countRestart(now), m.launch(now)...)
	case Verifying:
		return m.gone(now, late("the check of the executable", VerifyTimeout), "")
	case Starting:
		return m.overdue(now, "the handshake", StartTimeout)
	case Describing:
		return m.overdue(now, "Describe", DescribeTimeout)
	case Configuring:
		return m.overdue(now, "Configure", ConfigureTimeout)
	case Draining:
		return m.terminate(now)
	case Terminating:
		return m.kill(now)
	case Killing:
		return append([]Action{{Kind: Abandon}}, m.gone(now, late("the end after SIGKILL", killTimeout), "")...)
	}
	return nil
}

// overdue kills a process that does not answer. Only its output can tell why.
func (m *Machine) overdue(now time.Time, what string, limit time.Duration) []Action {
	m.reason, m.mute = late(what, limit), true
	return m.kill(now)
}

func late(what string, limit time.Duration) string {
	return fmt.Sprintf("%s did not come within %v", what, limit)
}

func (m *Machine) terminate(now time.Time) []Action {
	return m.enter(now, Terminating, Terminate, terminateTimeout)
}

func (m *Machine) kill(now time.Time) []Action {
	return m.enter(now, Killing, Kill, killTimeout)
}

// stop ends the process, as gently as its state allows.
func (m *Machine) stop(now time.Time, grace time.Duration) []Action {
	if m.stopping {
		return nil
	}
	m.stopping = true
	switch m.state {
	case Stopped, Backoff, Verifying:
		return m.finish()
	case Ready, Unhealthy:
		actions := m.enter(now, Draining, Drain, grace)
		m.deadline = now.Add(grace + drainMargin)
		return append([]Action{{Kind: Retract}}, actions...)
	case Describing, Configuring:
		return m.terminate(now)
	case Starting:
		return m.kill(now)
	}
	return nil // already on its way
}

func (m *Machine) finish() []Action {
	m.state, m.deadline, m.reason = Stopped, time.Time{}, ""
	return []Action{{Kind: Finish}}
}

// gone handles the end of a process, or of an attempt that came to none.
func (m *Machine) gone(now time.Time, reason, output string) []Action {
	served := m.state.Serving()
	switch {
	case m.state != Killing || m.reason == "":
		m.reason = reason
	case m.mute: // a kill has its reason already
		m.reason += output
	}
	m.spawning, m.mute = false, false
	var actions []Action
	if served {
		actions = append(actions, Action{Kind: Retract})
	}
	if m.stopping {
		return append(actions, m.finish()...)
	}
	if !m.readySince.IsZero() && now.Sub(m.readySince) >= backoffReset {
		m.failures, m.looping, m.restarts = 0, false, nil
	}
	m.readySince = time.Time{}
	m.state = Backoff
	m.deadline = now.Add(m.pause())
	m.failures++
	return actions
}

// pause returns how long to wait before the next attempt: within a fifth of 0.2 s, 0.4 s, ... 30 s.
func (m *Machine) pause() time.Duration {
	pause := backoffMax
	if m.failures < 8 {
		pause = min(backoffFirst<<m.failures, backoffMax)
	}
	return time.Duration(float64(pause) * (0.8 + 0.4*m.jitter()))
}

// countRestart notices when restarts come too fast, once per loop.
func (m *Machine) countRestart(now time.Time) []Action {
	recent := m.restarts[:0]
	for _, at := range m.restarts {
		if now.Sub(at) < loopWindow {
			recent = append(recent, at)
		}
	}
	m.restarts = append(recent, now)
	if len(m.restarts) < loopRestarts || m.looping {
		return nil
	}
	m.looping = true
	return []Action{{Kind: CrashLoop}}
}
