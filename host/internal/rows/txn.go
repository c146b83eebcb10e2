package rows

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// txn is one atomic change of a database, built while DB.mu is held: some commits, the rows they touch, what is known
// afterwards. Nothing of the database changes before apply.
type txn struct {
	db    *DB
	b     *kv.Batch
	fresh map[id.Collection]*collection
	// order has the touched rows in the order of their first touch, so that equal inputs write equal batches.
	order []*rowState
	// rows finds the first of them, which are as many as indexed says; see loaded.
	rows    map[rowRef]*rowState
	indexed int
	// sorted is how many of the first are in the order of their keys, and sought how often one was looked for by it.
	sorted, sought int
	// fetched: the rows of all operations to come have been loaded.
	fetched bool
	// turn is the place in order of the row that will probably be asked for next.
	turn int
	*scratch
	commits []learned
	ownGen  uint64
	// grown is by how much the transaction changes the sum of what DB.Used counts.
	grown int64
	// stands is by how much it changes DB.standing.
	stands int64
	// past is what seqHead.past becomes.
	past uint64
	// littered is by how much DB.Litter grows.
	littered uint64
	// puts: some record is a put of an application's row, or of a collection.
	puts bool
	// received: it is a step from a peer, which may be large.
	received bool
	// async: the commit is acknowledged before it is durable.
	async bool
	// batches are the commits that the transaction adds, by the versions in them, the last of which is last; they are kept
	// only if some conflicts may stay open.
	batches map[id.Version]*batch
	last    *batch
	// contested: a row was written whose conflict stays open.
	contested bool
	// burials are those of the collections that the transaction destroys.
	burials map[*collection]burial
	// fault is what went wrong where no error could be returned; it refuses the transaction.
	fault error
	// overflow counts heads that were too many for one row.
	overflow int
	// kept are the records of rows that are merged.
	kept map[id.Version]ancestor
	// sums are the changes of digests.
	sums []*moved
	// letters are the changes of the list of letters.
	letters letterChanges
}

type rowRef struct {
	coll *collection
	key  string
}

// rowState is a row as the transaction sees it.
type rowState struct {
	// What is looked at whenever the rows are gone through comes first, to be in one line of the processor's cache.
	rowRef
	history.State
	dirty   bool
	hadRow  bool
	hadTomb bool
	// visible: shown is a row that readers see, and not a deletion.
	visible bool
	// open are the encoded heads that lay in space 19 before the transaction.
	open map[id.Version][]byte

	// before is the value that readers saw before the transaction, nil for none.
	before []byte
	// shown is the version that readers, and the changes listed so far, have as current.
	shown id.Version
	// stored is the size of the row or tombstone before the transaction, as DB.Used counts it.
	stored int
	// write is the position of the last write of the row among the operations of a local commit, -1 for none, and made is
	// the version that it made.
	write int
	made  id.Version
	trace trace
	// sum is what the row contributed to digests before the transaction.
	sum delta.Sum
	// room is where Heads lies while there is one.
	room [1]history.Head
}

func (db *DB) begin() *txn {
	return &txn{
		db: db, b: db.s.kv.NewBatch(), fresh: map[id.Collection]*collection{},
		scratch: scratches.Get().(*scratch), ownGen: db.know.Own().Gen,
	}
}

// row loads what is known of a row.
func (t *txn) row(coll *collection, key string) (*rowState, error) {
	ref := rowRef{coll, key}
	if r := t.loaded(ref); r != nil {
		return r, nil
	}
	data, err := t.db.s.kv.Get(rowKey(spaceRow, t.db.num, coll.num, key))
	isRow := err == nil
	if errors.Is(err, kv.ErrNotFound) {
		data, err = t.tomb(coll, key)
	}
	if errors.Is(err, kv.ErrNotFound) {
		return t.enroll(ref, nil, false)
	}
	if err != nil {
		return nil, err
	}
	return t.enroll(ref, data, isRow)
}

// tomb returns the stored tombstone of a row, or kv.ErrNotFound.
func (t *txn) tomb(coll *collection, key string) ([]byte, error) {
	if some, err := t.db.buries(coll); err != nil || !some {
		return nil, first(err, kv.ErrNotFound)
	}
	return t.db.s.kv.Get(rowKey(spaceTomb, t.db.num, coll.num, key))
}

// loaded returns a row that the transaction has touched, nil for any other. Mostly rows are asked for in the order in which they
// were touched; the index is only made when one is not.
func (t *txn) loaded(ref rowRef) *rowState {
	if t.turn < len(t.order) && t.order[t.turn].rowRef == ref {
		t.turn++
		return t.order[t.turn-1]
	}
	if i, found := t.seek(ref); found {
		t.turn = i + 1
		return t.order[i]
	}
	if len(t.order) <= prefetchFrom {
		i := slices.IndexFunc(t.order, func(r *rowState) bool { return r.rowRef == ref })
		if i < 0 {
			return nil
		}
		return t.order[i]
	}
	if t.rows == nil {
		t.rows = make(map[rowRef]*rowState, len(t.order))
	}
	for ; t.indexed < len(t.order); t.indexed++ {
		t.rows[t.order[t.indexed].rowRef] = t.order[t.indexed]
	}
	return t.rows[ref]
}

// seek looks for a row among those in the order of their keys, unless that is done so often that an index is worth its making.
func (t *txn) seek(ref rowRef) (int, bool) {
	if t.sorted == 0 || t.sorted > seekFew && t.sought > t.sorted/seekShare {
		return 0, false
	}
	t.sought++
	return slices.BinarySearchFunc(t.order[:t.sorted], ref, func(r *rowState, ref rowRef) int { return r.compare(ref) })
}

// seekShare is the share of rows beyond which an index costs less than seeking, and seekFew how many rows are too few for one.
const seekShare, seekFew = 8, 256

// enroll makes a row known to the transaction: data is its stored row or tombstone, nil when there is neither. The row
// aliases data.
func (t *txn) enroll(ref rowRef, data []byte, isRow bool) (*rowState, error) {
	r := t.newRow()
	r.rowRef, r.write, r.Heads = ref, -1, r.room[:0]
	if data != nil {
		head, err := decodeHead(data)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", ref.coll.id, ref.key, err)
		}
		r.stored = collKeyLen + len(ref.key) + len(data)
		r.Heads, r.shown = append(r.Heads, head), head.Version
		if r.hadRow, r.hadTomb = isRow, !isRow; isRow {
			r.before = head.Value
		}
		if contested(data) {
			if err := r.loadOpen(t.db, ref); err != nil {
				return nil, err
			}
		}
		r.remember()
	}
	r.visible = isRow
	t.order = append(t.order, r)
	t.layRow(r)
	if len(ref.coll.digests) > 0 {
		r.sum = sumOf(ref.key, r.Heads)
	}
	return r, nil
}

// at is the index of the head that readers see, of several the one that was written last.
func (r *rowState) at() int {
	if len(r.Heads) == 1 {
		return 0
	}
	return merge.LastWins(r.Heads)
}

// live returns the row's current head unless the row is absent or deleted.
func (r *rowState) live() *history.Head {
	if len(r.Heads) == 0 || r.Heads[r.at()].Deleted {
		return nil
	}
	return &r.Heads[r.at()]
}

// seqOf is the sequence number that the i-th commit of the transaction will have.
func (t *txn) seqOf(i int) uint64 { return t.db.seq + 1 + uint64(i) }

// startCommit begins to list a commit; records and changes are added to the last one started.
func (t *txn) startCommit(fromSync bool, w id.Writer, first, count uint64, at hlc.Time) {
	t.commits = append(t.commits, learned{fromSync: fromSync, writer: w, first: first, count: count, time: at})
}

// record appends to the log and takes the record into its row.
func (t *txn) record(coll *collection, row *rowState, rec *wire.Record) history.Outcome {
	var buried []change
	ending := ends(coll.id, rec)
	if ending {
		buried = t.bury(coll, rec)
	}
	c := &t.commits[len(t.commits)-1]
	outcome := row.Apply(rec, c.time)
	t.layRow(row)
	if ending && row.visible && row.Heads[row.at()].Version != rec.Version {
		t.hide(coll, buried)
	}
	if outcome == history.Known && !ending && len(row.Heads) < 2 && row.live() == nil {
		// The tombstone stands for it. In the log it could outlive the tombstone, and make the row rise again elsewhere.
		return outcome
	}
	if outcome == history.Known && t.inLog(coll, rec.Version) {
		return outcome
	}
	row.logged(rec.Version, t.log(coll, rec))
	if outcome == history.Known {
		return outcome
	}
	row.dirty = true
	t.show(coll, row)
	return outcome
}

// show lists a change if readers are to see another version of the row than before. A link may leave one of several heads,
// so that is not always the version of the record that came last.
func (t *txn) show(coll *collection, row *rowState) {
	now := &row.Heads[row.at()]
	if now.Version == row.shown {
		return
	}
	buried := row.key != "" && t.reach(coll).Covers(now.Version)
	if !buried || row.visible {
		t.list(change{coll: coll.num, version: now.Version, buried: buried})
	}
	again := row.key == "" && coll.id.Kind == id.Rows && !row.visible && !now.Deleted
	row.shown, row.visible = now.Version, !now.Deleted
	if again {
		t.resurface(coll)
	}
}

// log puts a record into the log and returns how many bytes it takes there.
func (t *txn) log(coll *collection, rec *wire.Record) int {
	i := len(t.commits) - 1
	c := &t.commits[i]
	h := logHeader{seq: t.seqOf(i), index: rec.Version.Gen - c.first, count: c.count, time: c.time}
	t.body = appendLog(t.body[:0], h, nil)
	t.body = wire.AppendBody(t.body, rec)
	t.key = appendLogKey(t.key[:0], t.db.num, coll.num, rec.Version)
	t.b.Set(t.key, t.body)
	size := len(t.key) + len(t.body)
	t.grown += int64(size)
	// The metadata of syncgroups is small, and who cannot take it does not learn who may have what.
	t.puts = t.puts || rec.Kind == wire.Put && coll.id.Kind == id.Rows
	t.note(c, rowRef{coll, rec.Key}, rec.Version)
	if isMerged(coll.id, rec.Key) {
		t.keep(rec, c.time)
	}
	return size
}

// write puts the final state of every touched row into the batch.
func (t *txn) write() error {
	for _, row := range t.order {
		if !row.dirty {
			continue
		}
		write := t.writeRow
		if len(row.Heads) == 0 {
			write = t.writeGone
		}
		if err := write(row); err != nil {
			return err
		}
	}
	t.writeSums()
	t.writeSequence()
	return nil
}

// writeSequence puts the commits into the sequence, with what they leave behind.
func (t *txn) writeSequence() {
	left, size := t.litter()
	for _, row := range t.order {
		if row.coll.id.Kind == id.Rows && row.dirty && (row.hadRow || row.live() == nil) {
			t.littered++
		}
	}
	t.past = t.db.past + size + uint64(len(t.commits))*commitOverhead
	head := seqHead{ownGen: t.ownGen, used: uint64(int64(t.db.used) + t.grown), past: t.past}
	t.body = appendSeq(t.body[:0], head, t.commits, left)
	t.b.Set(seqKey(t.db.num, t.seqOf(0)), t.body)
}

func (t *txn) writeRow(row *rowState) error {
	t.sum(row)
	head := &row.Heads[row.at()]
	t.body = appendHead(t.body[:0], head)
	if len(row.Heads) > 1 {
		contest(t.body)
	}
	if err := t.writeOpen(row.rowRef, row); err != nil {
		return err
	}
	to, from, had := byte(spaceRow), byte(spaceTomb), row.hadTomb
	var after []byte
	if head.Deleted {
		to, from, had = spaceTomb, spaceRow, row.hadRow
		row.coll.deletions = someDeletions
	} else {
		after = head.Value
	}
	t.key = appendRowKey(t.key[:0], to, t.db.num, row.coll.num, row.key)
	t.b.Set(t.key, t.body)
	t.grown += int64(len(t.key) + len(t.body) - row.stored)
	t.stands += int64(len(t.key) + len(t.body) - row.stored)
	if had {
		t.key[0] = from
		t.b.Delete(t.key)
	}
	refs := t.db.s.opts.References
	if refs == nil || row.key == "" || row.coll.id.Kind != id.Rows || head.Raw {
		return nil
	}
	return refs.IndexRow(t.b, t.db.num, row.coll.num, row.key, row.before, after)
}

// apply makes the transaction visible to readers and returns what to publish once the batch is durable. After an error
// nothing has changed.
func (t *txn) apply(know *delta.Knowledge) (Published, error) {
	lists, err := t.collectionLists()
	if err = first(t.fault, err); err != nil {
		t.b.Discard()
		return Published{}, err
	}
	if err := t.write(); err != nil {
		t.b.Discard()
		return Published{}, err
	}
	if err := t.checkQuota(); err != nil {
		t.b.Discard()
		return Published{}, err
	}
	enter := t.b.Apply
	if t.received {
		enter = t.b.Ingest
	}
	if err := enter(); err != nil {
		return Published{}, writeError(err)
	}
	db := t.db
	db.used += uint64(t.grown)
	db.standing.bytes += t.stands
	db.past = t.past
	db.littered.Add(t.littered)
	db.adopt(t.fresh)
	db.adoptLetters(&t.letters)
	t.keepSums()
	for coll, b := range t.burials {
		coll.burial, coll.digests = b, nil
		db.s.sweepSoon()
	}
	for coll, list := range lists {
		coll.perms = list
		coll.version = t.loaded(rowRef{coll, ""}).shown
	}
	t.noteConflicts()
	db.seq += uint64(len(t.commits))
	know.SetOwn(t.ownGen)
	for _, row := range t.order {
		if row.coll.id.Kind == id.Syncgroup && row.dirty {
			db.meta.Add(1)
			break
		}
	}
	return db.advance(know), nil
}

// collectionLists parses the access lists that the transaction changes.
func (t *txn) collectionLists() (map[*collection]perm.List, error) {
	lists := map[*collection]perm.List{}
	for _, row := range t.order {
		if row.key != "" || !row.dirty {
			continue
		}
		head := row.live()
		if head == nil {
			lists[row.coll] = nil
			continue
		}
		list, err := perm.Parse(head.Value, perm.CollectionTags)
		if err != nil {
			return nil, fmt.Errorf("%w: access list of %s: %w", ErrInvalid, row.coll.id, err)
		}
		lists[row.coll] = list
	}
	return lists, nil
}

// finish waits until an applied transaction is durable and publishes it.
func (t *txn) finish(p Published) error {
	if err := t.b.Wait(); err != nil {
		return fmt.Errorf("make the commit durable: %w", writeError(err))
	}
	t.db.publish(p)
	return nil
}

// describe names a row in a message, shortening long keys; the row without a key is the collection itself.
func describe(c id.Collection, key string) string {
	const most = 80
	if key == "" {
		return "collection " + c.String()
	}
	if len(key) > most {
		key = strings.ToValidUTF8(key[:most], "") + "..."
	}
	return fmt.Sprintf("%s %q", c, key)
}
