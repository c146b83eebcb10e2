package rows

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Bounds of the letters of a database. The largest commit fits.
const (
	MaxLetters     = 1000
	MaxLetterBytes = 64 << 20
	// letterKeys and letterText bound what a letter says of its records and of the reason.
	letterKeys = 8
	letterText = 512
)

// ErrLettersFull means that a commit was refused by a rule and that there is no room to set it aside, so that nothing behind
// it can be taken from that peer.
var ErrLettersFull = errors.New("the list of refused commits is full")

// RefusalCode names the rule by which a commit was refused.
type RefusalCode string

// Rules that refuse a commit without blaming who sent it.
const (
	// RefusedQuota: the database would grow beyond its quota.
	RefusedQuota RefusalCode = "quota"
	// RefusedAccessList: it gives a collection a list of who may do what that this program cannot read.
	RefusedAccessList RefusalCode = "access-list"
	// RefusedTime: nothing could be written after it.
	RefusedTime RefusalCode = "time"
)

// Refusal is why one commit is not taken although its sender did nothing wrong.
type Refusal struct {
	Code RefusalCode
	Err  error
}

func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap: a refusal is ErrRefused, too, for those who do not set aside.
func (r *Refusal) Unwrap() []error { return []error{r.Err, ErrRefused} }

// Letter is a commit that was refused by a rule of this device and set aside whole. Its records count as held: they are
// passed on to whoever lacks them (Send), and tried again here (RetryLetters), whatever becomes of the peer that sent
// them. They are not in the rows, and what this device says to have applied leaves them out (Applied).
type Letter struct {
	// ID names the letter in its database.
	ID uint64
	// Writer and First generation of the commit, Count of its records at its writer, and its Time.
	Writer id.Writer
	First  uint64
	Count  uint64
	Time   hlc.Time
	// Least and Last are the generations of the first and the last record that is here, of Records.
	Least, Last uint64
	Records     int
	// Bytes of the encoded commit.
	Bytes int
	// Collections of the records, and the first of their keys.
	Collections []id.Collection
	Keys        []string
	Code        RefusalCode
	Reason      string
	// From is the peer that sent it.
	From id.Principal
	// Since is when it was refused first, Tried when it was last; it was tried again so many times.
	Since, Tried time.Time
	Tries        int
	// seq is the last commit that this device had learned before it.
	seq uint64
}

// letters is the list of a database, in order, and its size.
type letters struct {
	list  []*Letter
	bytes int
	// last is the largest ID that was ever given since the start.
	last uint64
	// spans are of the letters that were held against an inventory since the start.
	spans map[uint64]keySpan
}

// find returns the place of a letter, negative if there is none.
func (l *letters) find(number uint64) int {
	return slices.IndexFunc(l.list, func(x *Letter) bool { return x.ID == number })
}

// letterChanges are what a transaction does to the list.
type letterChanges struct {
	added   []*Letter
	dropped []*Letter
	// cut are there still, without some of their records.
	cut []*Letter
}

func (c *letterChanges) changed() bool { return len(c.added)+len(c.dropped)+len(c.cut) > 0 }

// adoptLetters carries out what the batch of the transaction, which was applied, did. Called with mu held.
func (db *DB) adoptLetters(c *letterChanges) {
	for _, l := range c.dropped {
		if i := db.letters.find(l.ID); i >= 0 {
			db.letters.list = slices.Delete(slices.Clone(db.letters.list), i, i+1)
			db.letters.bytes -= l.Bytes
			delete(db.letters.spans, l.ID)
		}
	}
	for _, l := range c.cut {
		if i := db.letters.find(l.ID); i >= 0 {
			db.letters.bytes += l.Bytes - db.letters.list[i].Bytes
			db.letters.list = slices.Clone(db.letters.list)
			db.letters.list[i] = l
		}
	}
	for _, l := range c.added {
		db.letters.list = append(slices.Clip(db.letters.list), l)
		db.letters.bytes += l.Bytes
		db.letters.last = max(db.letters.last, l.ID)
	}
}

// Letters returns what was set aside, in order.
func (db *DB) Letters() []Letter {
	list := db.letterList()
	out := make([]Letter, len(list))
	for i, l := range list {
		out[i] = *l
	}
	return out
}

// letterList returns the list, which is not to be changed.
func (db *DB) letterList() []*Letter {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.letters.list
}

// LettersOf returns what was set aside of the collections of the scopes.
func (db *DB) LettersOf(scopes []id.Scope) []Letter {
	return slices.DeleteFunc(db.Letters(), func(l Letter) bool {
		return !slices.ContainsFunc(scopes, func(s id.Scope) bool { return slices.Contains(l.Collections, s.Collection) })
	})
}

// Applied returns what of a scope this device holds and has applied: what is known of it, up to the first record of each
// writer that was set aside.
func (db *DB) Applied(s id.Scope) id.Vector { return db.Published().Applied(db, s) }

// Applied is the same for a state that was published.
func (p Published) Applied(db *DB, s id.Scope) id.Vector {
	v := p.Know.At(s)
	for _, l := range db.letterList() {
		if v[l.Writer] < l.Least || !slices.Contains(l.Collections, s.Collection) {
			continue
		}
		if l.Least == 1 {
			delete(v, l.Writer)
		} else {
			v[l.Writer] = l.Least - 1
		}
	}
	return v
}

// AppliedOf returns it for each of the scopes.
func (db *DB) AppliedOf(scopes []id.Scope) []delta.ScopeVector {
	list := make([]delta.ScopeVector, 0, len(scopes))
	for _, s := range scopes {
		list = append(list, delta.ScopeVector{Scope: s, Vector: db.Applied(s)})
	}
	return list
}

// takeOrSetAside takes a commit or, where a rule refuses it, sets it aside.
func (r *receiver) takeOrSetAside(c *wire.Commit, step *Step) error {
	if err := r.admit(c); err != nil {
		return err
	}
	if step.aside != nil {
		return r.setAside(c, step.aside, step.From)
	}
	err := r.takeCommit(c, step.Repair)
	if why := (*Refusal)(nil); !step.Repair && errors.As(err, &why) {
		return r.setAside(c, why, step.From)
	}
	return err
}

// setAside makes a letter of what is new in a commit.
func (r *receiver) setAside(c *wire.Commit, why *Refusal, from id.Principal) error {
	rest := *c
	rest.Records = nil
	for i := range c.Records {
		e := &c.Records[i]
		if r.know.Holds(e.Collection, e.Record.Key, e.Record.Version) ||
			e.Record.Version.Writer.Device == r.db.writer.Device && r.returned(e) {
			r.got.Duplicates++
			continue
		}
		if own := e.Record.Seen[r.db.writer]; own > r.ownGen {
			return r.setBack(own)
		}
		rest.Records = append(rest.Records, *e)
	}
	if len(rest.Records) == 0 {
		return nil
	}
	data := rest.Append(nil)
	now := r.db.now()
	l := letterOf(&rest, len(data), now)
	l.Code, l.Reason, l.From = why.Code, clipText(why.Error(), letterText), from
	l.seq = r.seqOf(len(r.commits)) - 1
	if r.hasLetter(l) {
		r.got.Duplicates += l.Records
	} else if err := r.addLetter(l, data, why); err != nil {
		return err
	}
	for i := range rest.Records {
		r.note(&rest.Records[i])
	}
	return nil
}

// hasLetter reports whether the same records were set aside before: they may come twice as long as nothing could be noted.
func (r *receiver) hasLetter(l *Letter) bool {
	same := func(o *Letter) bool {
		return o.Writer == l.Writer && o.First == l.First && o.Least == l.Least && o.Last == l.Last &&
			o.Records == l.Records && o.Bytes == l.Bytes && slices.Equal(o.Collections, l.Collections)
	}
	return slices.ContainsFunc(r.db.letters.list, same) || slices.ContainsFunc(r.letters.added, same)
}

func (r *receiver) addLetter(l *Letter, data []byte, why error) error {
	have := &r.db.letters
	n, size := len(have.list)+len(r.letters.added), have.bytes
	for _, a := range r.letters.added {
		size += a.Bytes
	}
	if n >= MaxLetters || size+l.Bytes > MaxLetterBytes {
		return fmt.Errorf("%w: it has %d commits of %d bytes; mend what refuses them and run 'syncbase peer retry': %w", ErrLettersFull, n, size, why)
	}
	l.ID = have.last + uint64(len(r.letters.added)) + 1
	r.b.Set(letterKey(r.db.num, letterHead, l.ID), l.append(nil))
	r.b.Set(letterKey(r.db.num, letterCommit, l.ID), data)
	r.letters.added = append(r.letters.added, l)
	r.got.Letters = append(r.got.Letters, *l)
	return nil
}

// dropLetter ends that a commit is set aside.
func (t *txn) dropLetter(l *Letter) {
	t.b.Delete(letterKey(t.db.num, letterHead, l.ID))
	t.b.Delete(letterKey(t.db.num, letterCommit, l.ID))
	t.letters.dropped = append(t.letters.dropped, l)
}

// writeKnowledgeOfLetters persists what is known together with what was set aside, of a step that takes nothing else.
func (r *receiver) writeKnowledgeOfLetters() {
	if len(r.letters.added) > 0 {
		r.writeKnowledge()
	}
}

// applyLetters makes a transaction durable that does nothing but set aside, or end that.
func (t *txn) applyLetters(know *delta.Knowledge) error {
	if err := t.b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	t.db.adopt(t.fresh)
	t.db.adoptLetters(&t.letters)
	// The batch was synced after everything applied before it, so all of that is durable too.
	t.db.publish(t.db.advance(know))
	return nil
}

// letterOf describes a commit that has records.
func letterOf(c *wire.Commit, size int, now time.Time) *Letter {
	l := &Letter{
		Writer: c.Writer, First: c.First, Count: c.Count, Time: c.Time, Records: len(c.Records), Bytes: size,
		Least: math.MaxUint64, Since: now.Truncate(time.Microsecond),
	}
	l.Tried = l.Since
	for i := range c.Records {
		e := &c.Records[i]
		l.Least, l.Last = min(l.Least, e.Record.Version.Gen), max(l.Last, e.Record.Version.Gen)
		if !slices.Contains(l.Collections, e.Collection) {
			l.Collections = append(l.Collections, e.Collection)
		}
		if len(l.Keys) < letterKeys {
			l.Keys = append(l.Keys, strings.Clone(e.Record.Key))
		}
	}
	return l
}

// clipText shortens a text without cutting a character in two.
func clipText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// loadLetters reads what was set aside.
func (db *DB) loadLetters() error {
	prefix := append(dbKey(spaceLetter, db.num), letterHead)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var l *Letter
		if l, err = decodeLetter(it.Key(), bytes.Clone(it.Value())); err == nil {
			db.adoptLetters(&letterChanges{added: []*Letter{l}})
		}
	}
	return errors.Join(err, it.Close())
}
