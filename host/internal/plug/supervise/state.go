package supervise

import "fmt"

// State is where a Machine stands.
type State uint8

// The states, in the order in which a healthy process passes them.
const (
	Stopped State = iota
	Verifying
	Starting
	Describing
	Configuring
	Ready
	Unhealthy // ready, but the last health check failed
	Backoff
	Draining
	Terminating // after SIGTERM
	Killing     // after SIGKILL
)

var stateNames = [...]string{
	"stopped", "verifying", "starting", "describing", "configuring", "ready", "unhealthy", "backoff", "draining",
	"terminating", "killing",
}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// Serving reports whether calls may be sent to the process.
func (s State) Serving() bool { return s == Ready || s == Unhealthy }

// EventKind says what happened.
type EventKind uint8

// The events. Those of a process carry its attempt; events of an earlier attempt are ignored.
const (
	Start   EventKind = iota // run the process
	Stop                     // end it, within the event's grace for calls in flight
	Tick                     // Next has passed
	Done                     // the action in flight succeeded
	Failed                   // the action in flight failed; with Spawn, nothing is left of the process
	Exited                   // a spawned process is gone
	Healthy                  // answer to Probe
	Sick                     // no answer to Probe, or a bad one
)

var eventNames = [...]string{"start", "stop", "tick", "done", "failed", "exited", "healthy", "sick"}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// ActionKind says what the driver has to do.
type ActionKind uint8

// The actions. The driver answers Verify, Spawn, Describe, Configure and Drain with Done or Failed, Probe with Healthy or
// Sick, and every successful Spawn with exactly one Exited in the end.
const (
	Verify    ActionKind = iota // check the executable
	Spawn                       // start the process and complete the handshake
	Describe                    // ask what it is
	Configure                   // give it its configuration
	Publish                     // calls may go to it from now on
	Retract                     // no more calls
	Probe                       // ask for its health
	Drain                       // let calls in flight finish, within Timeout
	Terminate                   // SIGTERM to its group
	Kill                        // SIGKILL to its group
	Abandon                     // it did not even die of that: stop waiting for it
	CrashLoop                   // tell the operator
	Finish                      // the machine has stopped
)

var actionNames = [...]string{
	"verify", "spawn", "describe", "configure", "publish", "retract", "probe", "drain", "terminate", "kill", "abandon",
	"crash-loop", "finish",
}

func (k ActionKind) String() string {
	if int(k) < len(actionNames) {
		return actionNames[k]
	}
	return fmt.Sprintf("action(%d)", uint8(k))
}
