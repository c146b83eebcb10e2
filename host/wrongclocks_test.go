package host

import (
	"testing"
	"time"
)

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * time.Second:              "1m30s",
		47 * time.Hour:                "47h0m0s",
		72 * time.Hour:                "3 days",
		23 * 365 * 24 * time.Hour:     "23 years",
		time.Minute + time.Nanosecond: "1m0s",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
