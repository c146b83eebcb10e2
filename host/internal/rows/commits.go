package rows

import (
	"slices"
	"sync"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Started is a commit that was applied and may not be durable yet, or one that failed.
type Started struct {
	versions []id.Version
	err      error
	// with is what becomes durable together, nil if there is nothing to wait for.
	with *together
}

// Wait returns what Commit would have. It may be called from any goroutine.
func (s *Started) Wait() ([]id.Version, error) {
	if s.err != nil || s.with == nil {
		return s.versions, s.err
	}
	if err := s.with.wait(); err != nil {
		return nil, err
	}
	return s.versions, nil
}

// together are commits in one transaction, each of which may be waited for.
type together struct {
	t    *txn
	p    Published
	once sync.Once
	err  error
}

func (g *together) wait() error {
	g.once.Do(func() { g.err = g.t.finish(g.p) })
	return g.err
}

// StartCommits is Commit for each of the lists of operations, one after the other, without waiting: readers see what was
// committed, and Wait must be called for each. Each succeeds or fails by itself, and is a commit of its own; but those that follow one
// another are written together, and become durable together, at much less than the cost of each.
func (db *DB) StartCommits(lists [][]Op, guard Guard) []Started {
	all := make([]Started, len(lists))
	for i, ops := range lists {
		all[i].err = db.validateOps(ops)
	}
	db.startCommits(lists, all, func(_ *txn, colls []*collection, ops []Op) error {
		for i := range ops {
			if err := db.admit(colls[i], ops[i].Kind, guard); err != nil {
				return atOp(i, ops, err)
			}
		}
		return db.thawed(ops)
	})
	return all
}

// readiness agrees to a commit, or says why it cannot be.
type readiness func(t *txn, colls []*collection, ops []Op) error

// startCommits starts those that have no error.
func (db *DB) startCommits(lists [][]Op, all []Started, ready readiness) {
	for _, g := range db.writeCommits(lists, all, ready) {
		if g.t.async && db.s.unsynced.later(g) {
			for i := range all {
				if all[i].with == g {
					all[i].with = nil
				}
			}
		}
	}
}

// writeCommits applies those that have no error, in as few transactions as it can.
func (db *DB) writeCommits(lists [][]Op, all []Started, ready readiness) (written []*together) {
	most := mostBytes(lists)
	db.lockFor(most)
	defer db.mu.Unlock()
	alone := 0 // those before are each to have a transaction of their own
	ahead := len(lists)
	if db.nearQuota(most) {
		alone = len(lists)
	}
	for i := 0; i < len(lists); {
		if all[i].err != nil {
			i++
			continue
		}
		end := len(lists)
		if i < alone {
			end = i + 1
		}
		n, g, err := db.writeSome(lists[i:end], all[i:end], ready, ahead)
		if err != nil {
			ahead = 0 // where some fail, what was loaded for those that follow is loaded again
		}
		switch {
		case err != nil && n > 1:
			alone = i + n // one of them may be what is wrong, such as too large for the disk
			continue
		case err != nil:
			all[i].versions, all[i].err = nil, err
		case g != nil:
			written = append(written, g)
		}
		i += n
	}
	return written
}

// writeSome applies the first of the commits in one transaction, nil when they change nothing. It returns for how many of
// them, at least one, this or the error is. The rows of so many as ahead says may be loaded before.
func (db *DB) writeSome(lists [][]Op, all []Started, ready readiness, ahead int) (n int, g *together, err error) {
	if err := db.alive(); err != nil {
		return 1, nil, err
	}
	t := db.begin()
	t.b.Reserve(roomFor(lists[0]))
	t.async = db.rec.Settings.Durability == Async
	if lists = lists[:due(all)]; len(lists) <= ahead {
		if lists, err = t.fetch(lists); err != nil {
			t.b.Discard()
			return len(lists), nil, err
		}
	}
	for n < len(lists) && !t.contested && (n == 0 || db.entered(lists[n])) {
		versions, err := t.add(lists[n], ready)
		if err != nil && n > 0 {
			break // it is told why when it is the first
		}
		if err != nil {
			t.b.Discard()
			return 1, nil, err
		}
		all[n].versions = versions
		n++
	}
	if len(t.commits) == 0 {
		t.b.Discard()
		return n, nil, nil
	}
	if t.contested {
		if _, err := t.settle(db.clock.Next(db.now())); err != nil {
			t.b.Discard()
			return n, nil, err
		}
	}
	if err := db.reserve(t); err != nil {
		t.b.Discard()
		return n, nil, err
	}
	g = &together{t: t}
	if g.p, err = t.apply(db.know); err != nil {
		return n, nil, err
	}
	for i := range all[:n] {
		all[i].with = g
	}
	t.release()
	return n, g, nil
}

// nearQuota reports whether commits of so many bytes may come to the quota: then each has to be held against it by itself.
func (db *DB) nearQuota(most uint64) bool {
	if most == 0 {
		return false
	}
	room, err := db.quotaRoom()
	return err != nil || most > room // after an error each is told so
}

// mostBytes is more than the commits can take, 0 if they only delete.
func mostBytes(lists [][]Op) (most uint64) {
	const perOp, copies = 1 << 10, 4 // what an operation takes beside its key and value, and how often those are stored at the most
	puts := false
	for _, ops := range lists {
		for i := range ops {
			most += uint64(perOp + copies*(len(ops[i].Key)+len(ops[i].Value)))
			puts = puts || ops[i].Kind == OpPut
		}
	}
	if !puts {
		return 0
	}
	return most
}

// entered reports whether the store knows all the collections: a commit that fails leaves no mark of others behind.
func (db *DB) entered(ops []Op) bool {
	for i := range ops {
		if (i == 0 || ops[i].Collection != ops[i-1].Collection) && db.colls[ops[i].Collection] == nil {
			return false
		}
	}
	return true
}

// add puts one commit into the transaction, unless it changes nothing. After an error the transaction has nothing of it.
func (t *txn) add(ops []Op, ready readiness) ([]id.Version, error) {
	db := t.db
	colls := slices.Grow(t.colls[:0], len(ops))
	for i := range ops {
		if i > 0 && ops[i].Collection == ops[i-1].Collection {
			colls = append(colls, colls[i-1])
			continue
		}
		colls = append(colls, db.enter(t.b, ops[i].Collection, t.fresh))
	}
	t.colls = colls
	if err := ready(t, colls, ops); err != nil {
		return nil, err
	}
	touched, todo, err := t.effective(ops, colls)
	if err != nil {
		return nil, err
	}
	versions := make([]id.Version, len(ops))
	if len(todo) > 0 {
		t.writeOps(versions, ops, touched, todo)
	}
	for _, row := range touched {
		row.write, row.made = -1, id.Version{}
	}
	return versions, nil
}
