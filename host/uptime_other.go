//go:build !linux

package host

import "time"

// machineUptime is the age of the process where no clock is known that counts from the start of the machine: each start of
// the daemon then counts as a restart.
func machineUptime() time.Duration { return processAge() }
