package engine

import (
	"context"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
)

const (
	// crowd is how many commits in one round of a pull show that many are being made at the same time. Then the next round comes
	// no sooner than crowdRest after it began: each costs both sides about as much as some dozen commits. Whoever makes one commit
	// after the other does not wait.
	crowd     = 8
	crowdRest = 3 * time.Millisecond
	// progressRest is the least time between two reports of progress that no commits go with: mostly of what came from the very peer
	// that is told.
	progressRest = 20 * time.Millisecond
)

// pace is how fast a responder goes on.
type pace struct {
	// began is when the last round did, and commits how many were sent in it.
	began   time.Time
	commits int
	// owed is progress that is not reported yet, and told when some was reported last.
	owed []delta.ScopeVector
	told time.Time
}

// begin begins a round, after a rest if there is to be one.
func (p *pace) begin(ctx context.Context) {
	if p.commits >= crowd {
		timer := time.NewTimer(crowdRest - time.Since(p.began))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	p.began, p.commits = time.Now(), 0
}

// report returns what to report at the end of a round that moved the progress, nothing if that can wait: see due.
func (p *pace) report(progress []delta.ScopeVector) []delta.ScopeVector {
	for _, v := range progress {
		i := slices.IndexFunc(p.owed, func(o delta.ScopeVector) bool { return o.Scope == v.Scope })
		if i < 0 {
			p.owed = append(p.owed, v)
		} else {
			p.owed[i] = v // which covers the one before
		}
	}
	if len(p.owed) == 0 || p.commits == 0 && time.Since(p.told) < progressRest {
		return nil
	}
	owed := p.owed
	p.owed, p.told = nil, time.Now()
	return owed
}

// due fires when owed progress is to be reported, never if there is none.
func (p *pace) due() <-chan time.Time {
	if len(p.owed) == 0 {
		return nil
	}
	return time.After(progressRest - time.Since(p.told))
}
