// Package supervise decides how a plugin process is kept alive. It is a pure core: a Machine is fed events with the time
// and answers with the actions its driver has to carry out. It starts no goroutine and reads no clock.
//
// What it guarantees: a process that fails in any way is tried again, after 0.2 s doubling to 30 s, for ever; a process
// that was ready for a minute starts at 0.2 s again; every state that waits for somebody else has a deadline; a stop
// reaches Stopped whatever the process does.
//
//	stopped -> verifying -> starting -> describing -> configuring -> ready <-> unhealthy
//	              ^                                                    |
//	           backoff <- killing <-------- any failure ---------------+
//	any -> draining -> terminating -> killing -> stopped
//
// Read first: State, Event, Action, Machine.Handle.
package supervise
