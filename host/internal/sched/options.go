package sched

import (
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Options of a Scheduler. The zero value works.
type Options struct {
	// Self is this device, which is never asked.
	Self id.Device
	// Parallel is how many blobs are under way at once. Default 4.
	Parallel int
	// Window is how many bytes may be under way from one peer. A single piece may exceed it. Default 8 MiB.
	Window int64
	// Jitter returns numbers 0 <= x < 1 that spread retries. Default: always 0.5.
	Jitter func() float64
}

func (o Options) withDefaults() Options {
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	if o.Window == 0 {
		o.Window = 8 << 20
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0.5 }
	}
	return o
}

// Validate lists all faults.
func (o Options) Validate() error {
	var faults []error
	if o.Parallel < 0 {
		faults = append(faults, fmt.Errorf("parallel blobs: %d is negative", o.Parallel))
	}
	if o.Window < 0 {
		faults = append(faults, fmt.Errorf("window: %d is negative", o.Window))
	}
	return errors.Join(faults...)
}

// maxDoublings bounds the delay for each cause: 32 to 64 s where the failure may pass at any time, 256 to 512 s where a
// peer said that it does not have the blob.
func (c Cause) maxDoublings() int {
	if c == NotHeld {
		return 9
	}
	return 6
}

// backoff returns how long to wait after the given number of failures before this one: 0.5 to 1 s, doubled for each.
func (o Options) backoff(c Cause, failures int) time.Duration {
	base := time.Duration((0.5 + 0.5*o.Jitter()) * float64(time.Second))
	return base << min(failures, c.maxDoublings())
}
