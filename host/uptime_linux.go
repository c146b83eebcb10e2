package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// machineUptime is how long the machine has been running, including sleep, and so cannot be set by anybody.
func machineUptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		// Only on kernels older than Go supports.
		return processAge()
	}
	return time.Duration(t.Nano())
}
