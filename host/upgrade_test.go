package host

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// TestStepsLeadToThePresentFormat wants one step for each version there was.
func TestStepsLeadToThePresentFormat(t *testing.T) {
	if len(formatSteps) != kv.FormatVersion-1 {
		t.Errorf("%d steps to format %d", len(formatSteps), kv.FormatVersion)
	}
	for i, step := range formatSteps {
		if step.From != i+1 || step.What == "" || step.Run == nil {
			t.Errorf("step %d begins with version %d: %q", i, step.From, step.What)
		}
	}
}
