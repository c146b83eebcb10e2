package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Pace of comparisons with a peer: the first soon after the link came up, the others now and then.
const (
	compareFirst = time.Minute
	compareEvery = 10 * time.Minute
	// compareAgain is the pause after one that could not be made because somebody was writing.
	compareAgain = 15 * time.Second
	// maxCompared bounds the scopes of one comparison.
	maxCompared = 64
)

// Comparer asks a peer to compare, and for what it has.
type Comparer interface {
	Compare(ctx context.Context, database id.Name, mine []delta.Fingerprint) ([]delta.Verdict, error)
	Versions(ctx context.Context, database id.Name, scope id.Scope, buckets uint64, visit func([]delta.RowVersion) error) error
	Records(ctx context.Context, database id.Name, scope id.Scope, list []delta.RowVersion, visit func(commit []byte) error) error
}

// Compared is what comparisons of a database with a peer have come to.
type Compared struct {
	// At is when both were last found to hold the same in every scope; zero if never.
	At time.Time
	// Divergences counts how often they did not, although their vectors were equal.
	Divergences uint64
}

// Divergence is a scope in which two members that are level hold different rows: records were withheld, lost, or have a name
// that means two things.
type Divergence struct {
	Scope id.Scope
	// Buckets that differ, of delta.Buckets.
	Buckets int
	// Lacking are the versions of the peer that this device lacked, Taken the records of them that it took.
	Lacking, Taken int
}

// Compare compares with a peer now and then, database by database, until ctx ends, and takes what it finds lacking.
func (e *Engine) Compare(ctx context.Context, p Peer, with Comparer) {
	for pause := compareFirst; ; {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = compareEvery
		dbs, _ := e.store.Databases()
		for _, db := range dbs {
			switch settled, err := e.compare(ctx, db, p, with); {
			case err != nil && ctx.Err() == nil && e.events.Failed != nil:
				e.events.Failed(db, p, fmt.Errorf("compare: %w", err))
			case err == nil && !settled:
				pause = compareAgain
			}
		}
	}
}

// compare compares one database, and reports whether it could be compared.
func (e *Engine) compare(ctx context.Context, db *rows.DB, p Peer, with Comparer) (settled bool, err error) {
	_, scopes, err := shared(db, p.Principal)
	if err != nil || len(scopes) == 0 || db.Published().Paused {
		return true, ignoreDestroyed(err)
	}
	scopes, rest := comparable(db, scopes)
	// A peer answers for what it shares by its own account. One that was set back may have forgotten that it is a member here and
	// there; that must not keep the rest from being compared.
	same, level, answered := true, true, 0
	for part := range slices.Chunk(scopes, maxCompared) {
		verdicts, err := e.ask(ctx, db, part, p.Counting, with)
		if err != nil {
			return false, ignoreDestroyed(err)
		}
		for _, v := range verdicts {
			level = level && v.Level
			if !v.Level || v.Differing == 0 {
				continue
			}
			same = false
			if err := e.reconcile(ctx, db, p, v, with); err != nil {
				return false, err
			}
		}
		answered += len(verdicts)
	}
	level = level && answered > 0
	if level && same && len(rest) == 0 {
		e.compared(p, db, func(c *Compared) { c.At = time.Now() })
	}
	return level && same, nil
}

func ignoreDestroyed(err error) error {
	if errors.Is(err, rows.ErrDestroyed) {
		return nil
	}
	return err
}

func (e *Engine) ask(ctx context.Context, db *rows.DB, scopes []id.Scope, counting delta.Counting, with Comparer) ([]delta.Verdict, error) {
	mine := make([]delta.Fingerprint, 0, len(scopes))
	for _, s := range scopes {
		f, err := db.Fingerprint(ctx, s, counting)
		if err != nil {
			return nil, err
		}
		mine = append(mine, f)
	}
	return with.Compare(ctx, db.Name(), mine)
}

// reconcile takes, by name, what this device lacks of the buckets that differ. What the peer lacks it takes itself.
func (e *Engine) reconcile(ctx context.Context, db *rows.DB, p Peer, v delta.Verdict, with Comparer) error {
	found := Divergence{Scope: v.Scope}
	for b := v.Differing; b != 0; b &= b - 1 {
		found.Buckets++
	}
	err := with.Versions(ctx, db.Name(), v.Scope, v.Differing, func(page []delta.RowVersion) error {
		lacking, err := db.Lacks(v.Scope.Collection, page)
		if err != nil || len(lacking) == 0 {
			return err
		}
		found.Lacking += len(lacking)
		r := restorer{e: e, db: db, peer: p, scope: v.Scope, taken: &found.Taken}
		if err := with.Records(ctx, db.Name(), v.Scope, lacking, r.add); err != nil {
			return err
		}
		return r.take()
	})
	e.compared(p, db, func(c *Compared) { c.Divergences++ })
	if e.events.Diverged != nil {
		e.events.Diverged(db, p, found)
	}
	return err
}

// restorer applies records that were asked for by name, in bounded steps.
type restorer struct {
	e     *Engine
	db    *rows.DB
	peer  Peer
	scope id.Scope
	list  [][]byte
	size  int
	taken *int
}

func (r *restorer) add(commit []byte) error {
	r.list, r.size = append(r.list, commit), r.size+len(commit)
	if r.size < stepBytes {
		return nil
	}
	return r.take()
}

func (r *restorer) take() error {
	commits, err := decode(r.list)
	if err != nil || len(commits) == 0 {
		return err
	}
	r.list, r.size = nil, 0
	got, err := r.db.Receive(rows.Step{Commits: commits, Scopes: []id.Scope{r.scope}, Repair: true})
	if err = r.e.amend(r.db, r.peer, err, nil); err != nil {
		return err
	}
	*r.taken += got.Records
	r.e.received(r.db, r.peer, got)
	return nil
}

func (e *Engine) compared(p Peer, db *rows.DB, change func(*Compared)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.comparisons[heldKey{run{peer: p.Principal}, db.Name()}]
	change(&c)
	e.comparisons[heldKey{run{peer: p.Principal}, db.Name()}] = c
}

// Compared returns what comparisons of the database with the peer have come to since this daemon started.
func (e *Engine) Compared(p id.Principal, db *rows.DB) Compared {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.comparisons[heldKey{run{peer: p}, db.Name()}]
}

// mayHave returns the database if the scope is one of those that the caller shares.
func (e *Engine) mayHave(caller id.Principal, database id.Name, wanted ...id.Scope) (*rows.DB, []id.Scope, error) {
	db, err := e.store.Database(database)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", ErrHidden, database)
	}
	_, scopes, err := shared(db, caller)
	if err != nil && !errors.Is(err, rows.ErrDestroyed) {
		return nil, nil, err
	}
	wanted = slices.DeleteFunc(wanted, func(s id.Scope) bool { return !slices.Contains(scopes, s) })
	if len(wanted) == 0 || db.Published().Paused {
		return nil, nil, fmt.Errorf("%w: %s", ErrHidden, database)
	}
	return db, wanted, nil
}

// AnswerCompare answers the fingerprints of a caller.
func (e *Engine) AnswerCompare(ctx context.Context, caller id.Principal, database id.Name, theirs []delta.Fingerprint) ([]delta.Verdict, error) {
	var asked []id.Scope
	for i := range theirs {
		asked = append(asked, theirs[i].Scope)
	}
	db, allowed, err := e.mayHave(caller, database, asked...)
	if err != nil {
		return nil, err
	}
	var list []delta.Verdict
	for i := range theirs {
		if !slices.Contains(allowed, theirs[i].Scope) {
			continue
		}
		mine, err := db.Fingerprint(ctx, theirs[i].Scope, theirs[i].Counting)
		if err != nil {
			return nil, err
		}
		v := delta.Verdict{Scope: mine.Scope}
		if sound, _ := comparable(db, []id.Scope{mine.Scope}); len(sound) > 0 {
			v.Differing, v.Level = mine.Differing(&theirs[i])
		}
		list = append(list, v)
	}
	return list, nil
}

// AnswerVersions lists what this device has in the buckets of a scope.
func (e *Engine) AnswerVersions(ctx context.Context, caller id.Principal, database id.Name, s id.Scope, buckets uint64, visit func(delta.RowVersion) error) error {
	db, _, err := e.mayHave(caller, database, s)
	if err != nil {
		return err
	}
	return db.Versions(ctx, s, buckets, visit)
}

// AnswerRecords hands out records of a scope by name.
func (e *Engine) AnswerRecords(ctx context.Context, caller id.Principal, database id.Name, s id.Scope, list []delta.RowVersion, visit func(commit []byte) error) error {
	db, allowed, err := e.mayHave(caller, database, s)
	if err != nil {
		return err
	}
	return db.Records(ctx, allowed, s.Collection, list, visit)
}
