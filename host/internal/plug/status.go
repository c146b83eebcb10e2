package plug

import "github.com/syncbase/syncbase/host/internal/plug/supervise"

// State is what people are told about an instance.
type State string

// The states.
const (
	StateStarting State = "starting" // on its way
	StateReady    State = "ready"    // calls are answered
	StateFailed   State = "failed"   // waiting for the next attempt
	StateStopped  State = "stopped"  // not running, or on its way out
)

// Status describes an instance at one moment.
type Status struct {
	Name     string
	Kind     Kind
	Required bool
	State    State
	PID      int    // 0 without a process
	Restarts int    // processes that replaced one which had failed
	Plugin   string // name of the implementation, once known
	Version  string
	// Message says why the instance is not ready, or what the plugin remarks. It may have several lines.
	Message string
}

func publicState(s supervise.State, failed bool) State {
	switch {
	case s.Serving():
		return StateReady
	case s == supervise.Backoff:
		return StateFailed
	case s == supervise.Killing && failed:
		return StateFailed
	case s == supervise.Stopped || s >= supervise.Draining:
		return StateStopped
	default:
		return StateStarting
	}
}
