package main

import (
	"testing"
	"time"
)

func TestShiftsAreSaidInWords(t *testing.T) {
	for by, want := range map[time.Duration]string{
		0:               "0s ahead of the machine",
		48 * time.Hour:  "48h0m0s ahead of the machine",
		-48 * time.Hour: "48h0m0s behind the machine",
	} {
		if got := shifted(by); got != want {
			t.Errorf("%v: %q, want %q", by, got, want)
		}
	}
}
