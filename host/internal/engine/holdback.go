package engine

import (
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// patience is how long a responder holds back what the initiator should be getting from elsewhere.
const patience = 250 * time.Millisecond

// holdBack is what a responder knows of the commits that its initiator gets from others sooner. They are not left out: what
// the initiator has not said it has when the patience is over is sent to it like everything else. And as the order in which
// commits were learned is kept, they go at once before any commit of somebody else.
type holdBack struct {
	writers map[id.Writer]bool
	// mark is what this device held at since, when it began to wait; nil while it waits for nothing.
	mark  []delta.ScopeVector
	since time.Time
}

// hear takes in what the initiator says about whom it gets commits from.
func (h *holdBack) hear(e delta.Elsewhere) {
	if e.Writers == nil {
		return
	}
	h.writers = make(map[id.Writer]bool, len(e.Writers))
	for _, w := range e.Writers {
		h.writers[w] = true
	}
}

// left returns for how long nothing is to be sent of what this device knows; 0 when it is time.
func (h *holdBack) left(plan *delta.Plan, know *delta.Knowledge) time.Duration {
	if len(h.writers) == 0 {
		return 0
	}
	plan.Update(know)
	ofOthers := func(w id.Writer) bool { return !h.writers[w] }
	if plan.Lacks(ofOthers) || !plan.Lacks(func(w id.Writer) bool { return h.writers[w] }) {
		h.mark = nil
		return 0
	}
	if h.mark == nil || plan.Has(h.mark) {
		h.mark, h.since = plan.Held(), time.Now()
	}
	left := patience - time.Since(h.since)
	if left <= 0 {
		h.mark = nil
		return 0
	}
	return left
}
