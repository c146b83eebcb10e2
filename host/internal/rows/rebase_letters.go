package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// keySpan are the least and the greatest key of a letter.
type keySpan struct{ least, greatest string }

// lookAtLetters takes out of the letters what the peer knew of and has no more, as look does of rows: it was deleted while
// nothing but the letter was here. What is left of a letter stays.
func (r *rebase) lookAtLetters() error {
	for _, l := range r.db.letters.list {
		if !slices.Contains(l.Collections, r.inv.Scope.Collection) || r.inv.Held[l.Writer] < l.Least || !r.within(l) {
			continue
		}
		c, err := r.db.letterCommit(l)
		if err != nil {
			return err
		}
		r.db.letters.remember(l.ID, &c)
		was := len(c.Records)
		c.Records = slices.DeleteFunc(c.Records, r.isGone)
		switch len(c.Records) {
		case was:
		case 0:
			r.dropLetter(l)
		default:
			r.cutLetter(l, &c)
		}
	}
	return nil
}

// within reports whether the letter may have a key in the part that the inventory is about.
func (r *rebase) within(l *Letter) bool {
	span, known := r.db.letters.spans[l.ID]
	return !known || span.greatest >= r.inv.From && (r.inv.To == "" || span.least < r.inv.To)
}

func (r *rebase) isGone(e wire.Entry) bool {
	inv, key := r.inv, e.Record.Key
	if !inv.Scope.Has(e.Collection, key) || key < inv.From || inv.To != "" && key >= inv.To || !inv.Held.Covers(e.Record.Version) {
		return false
	}
	_, found := slices.BinarySearch(inv.Keys, key)
	return !found
}

// remember takes note of the keys of a letter, which are asked for with each part of an inventory.
func (l *letters) remember(number uint64, c *wire.Commit) {
	if l.spans == nil {
		l.spans = map[uint64]keySpan{}
	}
	span := keySpan{least: c.Records[0].Record.Key, greatest: c.Records[0].Record.Key}
	for i := range c.Records {
		key := c.Records[i].Record.Key
		span.least, span.greatest = min(span.least, key), max(span.greatest, key)
	}
	l.spans[number] = span
}

// cutLetter leaves of a letter what the commit has.
func (t *txn) cutLetter(l *Letter, c *wire.Commit) {
	data := c.Append(nil)
	rest := letterOf(c, len(data), l.Since)
	next := *l
	next.Least, next.Last, next.Records, next.Bytes = rest.Least, rest.Last, rest.Records, rest.Bytes
	next.Collections, next.Keys = rest.Collections, rest.Keys
	t.b.Set(letterKey(t.db.num, letterHead, l.ID), next.append(nil))
	t.b.Set(letterKey(t.db.num, letterCommit, l.ID), data)
	t.letters.cut = append(t.letters.cut, &next)
}

// awaitsLetter reports whether a letter is set aside here that a tombstone has won against: without the tombstone it would be
// taken for new.
func (db *DB) awaitsLetter(coll *collection, head *history.Head) bool {
	return slices.ContainsFunc(db.letters.list, func(l *Letter) bool {
		covered := head.Seen[l.Writer]
		if head.Version.Writer == l.Writer {
			covered = head.Version.Gen
		}
		return covered >= l.Least && slices.Contains(l.Collections, coll.id)
	})
}

// holdsLetter reports whether there is a letter of the scope's collection.
func (db *DB) holdsLetter(s id.Scope) bool {
	return slices.ContainsFunc(db.letterList(), func(l *Letter) bool { return slices.Contains(l.Collections, s.Collection) })
}
