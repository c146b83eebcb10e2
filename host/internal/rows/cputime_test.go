//go:build unix

package rows

import (
	"syscall"
	"testing"
	"time"
)

func init() {
	processorTime = func(b *testing.B) time.Duration {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
}
