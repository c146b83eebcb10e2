package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// retryEvery is how often Retry looks for letters that are due.
const retryEvery = time.Minute

// received tells what came of a step.
func (e *Engine) received(db *rows.DB, from Peer, got rows.Received) {
	if e.events.Received != nil && got.Records > 0 {
		e.events.Received(db, from, got)
	}
	if e.events.SetAside != nil && len(got.Letters) > 0 {
		e.events.SetAside(db, from, got.Letters)
	}
}

// comparable parts scopes: those whose rows are all that is known of them, and those of which something is set aside, so
// that their sums say nothing.
func comparable(db *rows.DB, scopes []id.Scope) (sound, rest []id.Scope) {
	for _, s := range scopes {
		if len(db.LettersOf([]id.Scope{s})) == 0 {
			sound = append(sound, s)
		} else {
			rest = append(rest, s)
		}
	}
	return sound, rest
}

// Retry tries what was set aside again when it is due, until ctx ends.
func (e *Engine) Retry(ctx context.Context) error {
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		dbs, _ := e.store.Databases()
		for _, db := range dbs {
			if len(db.Letters()) == 0 || db.Published().Paused {
				continue
			}
			if _, err := e.RetryLetters(ctx, db, db.LetterDue); err != nil && ctx.Err() == nil && e.events.RetryFailed != nil {
				e.events.RetryFailed(db, err)
			}
		}
	}
}

// RetryLetters tries what was set aside again, see rows.DB.RetryLetters, and tells of what was taken.
func (e *Engine) RetryLetters(ctx context.Context, db *rows.DB, want func(rows.Letter) bool) (rows.Retried, error) {
	sum, err := db.RetryLetters(ctx, want)
	if sum.Applied > 0 && e.events.Retried != nil {
		e.events.Retried(db, sum)
	}
	if errors.Is(err, rows.ErrDestroyed) {
		return sum, nil
	}
	return sum, err
}

// LettersFor returns what was set aside and a peer may know of: what it sent, and what lies in collections of which it shares
// the whole.
func (e *Engine) LettersFor(db *rows.DB, p id.Principal) ([]rows.Letter, error) {
	letters := db.Letters()
	if len(letters) == 0 {
		return nil, nil
	}
	names, scopes, err := shared(db, p)
	if len(names) == 0 {
		return nil, err
	}
	shares := func(c id.Collection) bool {
		return slices.Contains(scopes, id.Scope{Collection: c})
	}
	return slices.DeleteFunc(letters, func(l rows.Letter) bool {
		return l.From != p && slices.ContainsFunc(l.Collections, func(c id.Collection) bool { return !shares(c) })
	}), err
}
