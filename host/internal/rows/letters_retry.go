package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Pauses before a letter is tried again by itself.
const (
	firstRetry = time.Minute
	lastRetry  = time.Hour
)

// Retried says what trying letters again came to.
type Retried struct {
	// Applied are the letters that are no more: their records were taken, or are superseded. Left are those that are
	// refused still.
	Applied, Left int
	// Got is what was taken.
	Got Received
}

// RetryLetters tries what was set aside again, each commit for itself: those that want selects, or all without it. It
// returns when what was taken is durable. A commit that is refused again stays as it is, with the reason of this time.
func (db *DB) RetryLetters(ctx context.Context, want func(Letter) bool) (sum Retried, err error) {
	for _, l := range db.letterList() {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		if want != nil && !want(*l) {
			continue
		}
		got, err := db.retryLetter(l)
		why := (*Refusal)(nil)
		switch {
		case err == nil:
			sum.Applied++
			sum.Got.add(got)
		case errors.As(err, &why):
			sum.Left++
			err = db.retriedInVain(l, why)
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// letterCommit returns the commit that was set aside.
func (db *DB) letterCommit(l *Letter) (wire.Commit, error) {
	data, err := db.s.kv.Get(letterKey(db.num, letterCommit, l.ID))
	if err != nil {
		return wire.Commit{}, err
	}
	c, err := wire.DecodeCommit(data)
	if err != nil {
		return c, corrupt("letter", err)
	}
	return c, nil
}

func (db *DB) retryLetter(l *Letter) (Received, error) {
	c, err := db.letterCommit(l)
	if errors.Is(err, kv.ErrNotFound) {
		return Received{}, db.Err() // somebody else was faster
	}
	if err != nil {
		return Received{}, err
	}
	step := Step{Commits: []wire.Commit{c}, Repair: true, letter: l}
	for _, coll := range l.Collections {
		step.Scopes = append(step.Scopes, id.Scope{Collection: coll})
	}
	got, err := db.receive(step)
	if errors.Is(err, ErrQuota) {
		err = &Refusal{Code: RefusedQuota, Err: err}
	}
	return got, err
}

// retriedInVain notes a further try. Losing the note costs nothing.
func (db *DB) retriedInVain(l *Letter, why *Refusal) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	i := db.letters.find(l.ID)
	if err := db.alive(); err != nil || i < 0 {
		return err
	}
	next := *l
	next.Tried, next.Tries = db.now().Truncate(time.Microsecond), l.Tries+1
	next.Code, next.Reason = why.Code, clipText(why.Error(), letterText)
	b := db.s.kv.NewBatch()
	b.Set(letterKey(db.num, letterHead, l.ID), next.append(nil))
	if err := b.Commit(kv.NoSync); err != nil {
		return fmt.Errorf("note that a letter was tried again: %w", writeError(err))
	}
	list := slices.Clone(db.letters.list)
	list[i] = &next
	db.letters.list = list
	return nil
}

// LetterDue reports whether a letter is to be tried again by itself: after ever longer pauses, and at once when the quota
// has come to have room for it, or when what it says of its first row was superseded.
func (db *DB) LetterDue(l Letter) bool {
	db.lockFor(2 * uint64(l.Bytes))
	now := db.now()
	room, err := db.quotaRoom()
	db.mu.Unlock()
	if l.Code == RefusedQuota && err == nil && 2*uint64(l.Bytes) <= room {
		return true
	}
	first := delta.RowVersion{Key: l.Keys[0], Version: id.Version{Writer: l.Writer, Gen: l.Least}, Time: l.Time}
	if lacking, err := db.Lacks(l.Collections[0], []delta.RowVersion{first}); err == nil && len(lacking) == 0 {
		return true
	}
	return now.Sub(l.Tried) >= min(firstRetry<<min(l.Tries, 10), lastRetry)
}
