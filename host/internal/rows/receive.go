package rows

import (
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// ErrRefused is wrapped by every error that blames what was received: nothing of it was taken.
var ErrRefused = errors.New("refused what the peer sent")

// ErrPaused means that the database neither sends nor receives until its administrator says so.
var ErrPaused = errors.New("syncing is paused")

// Step is a part of a pull: whole commits, in the order in which the peer learned them, and what the peer says is
// complete after them.
type Step struct {
	Commits []wire.Commit
	// Scopes are those that the pull is about; a record outside them is refused.
	Scopes   []id.Scope
	Progress []delta.ScopeVector
	// Repair: the records were asked for by name, after a comparison showed that they are lacking although they are known.
	Repair bool
	// From is who sent it, for the letters.
	From id.Principal
	// aside is set for one commit that is not even tried again.
	aside *Refusal
	// letter is set aside here already and is tried again.
	letter *Letter
}

// Received says what a step came to.
type Received struct {
	// Records that were new.
	Records int
	// Duplicates that were held already and left alone.
	Duplicates int
	// Echoes are the commits of which all records were such. They alias the step.
	Echoes []*wire.Commit
	// Conflicts that were found between versions of different content, whoever settles them.
	Conflicts int
	// Ahead is how many commits bore a time too far ahead of this device's clock to follow, and AheadOf the latest such time of
	// each of their writers, but for commits that only follow a version from the future that is here.
	Ahead   int
	AheadOf map[id.Writer]hlc.Time
	// Fresh are the new values of rows, for whoever looks for references in them. They alias the step.
	Fresh []Arrival
	// Letters are the commits that were refused by a rule and set aside.
	Letters []Letter
}

func (r *Received) add(more Received) {
	r.Records += more.Records
	r.Duplicates += more.Duplicates
	r.Echoes = append(r.Echoes, more.Echoes...)
	r.Conflicts += more.Conflicts
	r.Ahead += more.Ahead
	for w, t := range more.AheadOf {
		r.aheadOf(w, t)
	}
	r.Fresh = append(r.Fresh, more.Fresh...)
	r.Letters = append(r.Letters, more.Letters...)
}

func (r *Received) aheadOf(w id.Writer, t hlc.Time) {
	if r.AheadOf == nil {
		r.AheadOf = map[id.Writer]hlc.Time{}
	}
	r.AheadOf[w] = max(r.AheadOf[w], t)
}

// Arrival is a value that arrived from another device.
type Arrival struct {
	Collection id.Collection
	Record     *wire.Record
}

// Receive applies a step as one atomic change: its commits, the outcome of the conflicts they cause, and what is known
// afterwards. What is held already is skipped, so nothing received twice is applied twice. It returns when the step is
// durable. A commit that a rule of this device refuses is set aside as a letter, and the rest goes on; then parts of the
// step are atomic each for itself, and those before an error are reported with it. Errors: ErrRefused, ErrLettersFull,
// *SetBackError, ErrPaused, ErrReadOnlyStore, ErrDestroyed, and ErrQuota for a repair.
func (db *DB) Receive(step Step) (Received, error) {
	got, err := db.receive(step)
	if !errors.Is(err, ErrQuota) || step.Repair || step.aside != nil {
		return got, err
	}
	n := len(step.Commits)
	if n == 1 {
		step.aside = &Refusal{Code: RefusedQuota, Err: err}
		return db.Receive(step)
	}
	// Which of them do not fit is found by halving: each part that fits is applied whole.
	first := step
	first.Commits, first.Progress = step.Commits[:n/2], nil
	if got, err = db.Receive(first); err != nil {
		return got, err
	}
	step.Commits = step.Commits[n/2:]
	rest, err := db.Receive(step)
	got.add(rest)
	return got, err
}

func (db *DB) receive(step Step) (Received, error) {
	t, p, got, err := db.receiveLocked(step)
	if err != nil || t == nil {
		return got, err
	}
	return got, t.finish(p)
}

func (db *DB) receiveLocked(step Step) (*txn, Published, Received, error) {
	db.lockFor(step.most())
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, Received{}, err
	}
	if db.rec.Settings.SyncPaused {
		return nil, Published{}, Received{}, fmt.Errorf("%w: %s", ErrPaused, db.name)
	}
	r := receiver{txn: db.beginStep(step), know: db.know.Clone(), scopes: step.Scopes, touched: map[id.Scope]bool{}, letter: step.letter}
	err := r.take(step)
	if err == nil && len(r.commits) == 0 && r.letters.changed() {
		return nil, Published{}, r.got, r.applyLetters(r.know)
	}
	if err == nil && len(r.commits) == 0 {
		// Nothing new but progress: it is taken note of in memory and persisted with the next step. Losing it costs a
		// scan of an empty range at the peer.
		r.b.Discard()
		db.learn(db.advance(r.know))
		return nil, Published{}, r.got, nil
	}
	if err != nil {
		r.b.Discard()
		return nil, Published{}, Received{}, err
	}
	p, err := r.apply(r.know)
	if err != nil {
		return nil, Published{}, Received{}, err
	}
	r.release()
	return r.txn, p, r.got, nil
}

// receiver is a transaction that takes commits from a peer.
type receiver struct {
	*txn
	know    *delta.Knowledge
	scopes  []id.Scope
	touched map[id.Scope]bool
	// moved is the scope that was touched last.
	moved id.Scope
	// entered is the collection that was last taken into.
	entered *collection
	got     Received
	// twice are records whose names mean something else here.
	twice []namesake
	// outcomes are versions that won elsewhere over others that are open here.
	outcomes []link
	// letter is being tried again; what is known does not change by that.
	letter *Letter
}

func (r *receiver) take(step Step) error {
	if err := r.prefetchStep(step); err != nil {
		return err
	}
	for i := range step.Commits {
		if err := r.takeOrSetAside(&step.Commits[i], &step); err != nil {
			return err
		}
	}
	if step.letter != nil {
		r.dropLetter(step.letter)
	}
	if err := r.rewrite(); err != nil {
		return err
	}
	r.layOutcomes()
	for _, p := range step.Progress {
		if !slices.Contains(r.scopes, p.Scope) {
			return fmt.Errorf("%w: progress of scope %s, which was not asked for", ErrRefused, p.Scope)
		}
		if own := p.Vector[r.db.writer]; own > r.ownGen {
			return r.setBack(own)
		}
		if r.know.Advance(p.Scope, p.Vector) {
			r.touched[p.Scope] = true
		}
	}
	if len(r.commits) == 0 {
		r.writeKnowledgeOfLetters()
		return nil
	}
	now := r.db.clock.Next(r.db.now())
	links, err := r.settle(now)
	r.got.Conflicts += links
	for _, s := range r.scopes {
		// What was taken by name is known only because somebody said so, and maybe not durably yet.
		r.touched[s] = r.touched[s] || step.Repair && r.know.Tracks(s)
	}
	r.writeKnowledge()
	return err
}

// prefetchStep loads the rows that the step touches in collections this device has heard of.
func (r *receiver) prefetchStep(step Step) error {
	n, _ := step.size()
	refs := make([]rowRef, 0, n)
	if n >= prefetchFrom {
		r.got.Fresh = make([]Arrival, 0, n)
	}
	var coll *collection
	for i := range step.Commits {
		for j := range step.Commits[i].Records {
			e := &step.Commits[i].Records[j]
			if coll == nil || coll.id != e.Collection {
				coll = r.db.colls[e.Collection]
			}
			if coll != nil {
				refs = append(refs, rowRef{coll, e.Record.Key})
			}
		}
	}
	return r.prefetch(refs)
}

// setBack is the proof that this device was in a later state once.
func (r *receiver) setBack(gen uint64) error {
	return &SetBackError{Shown: id.Version{Writer: r.db.writer, Gen: gen}, Made: r.ownGen}
}

// admit refuses what nobody may send at all.
func (r *receiver) admit(c *wire.Commit) error {
	for i := range c.Records {
		e := &c.Records[i]
		if !slices.ContainsFunc(r.scopes, func(s id.Scope) bool { return s.Has(e.Collection, e.Record.Key) }) {
			return fmt.Errorf("%w: a record of %s, which was not asked for", ErrRefused, describe(e.Collection, e.Record.Key))
		}
		if v := e.Record.Version; v.Writer == r.db.writer && v.Gen > r.ownGen {
			return r.setBack(v.Gen)
		}
	}
	return nil
}

// takeCommit takes a commit that was admitted. After a *Refusal nothing of it was taken.
func (r *receiver) takeCommit(c *wire.Commit, repair bool) error {
	entries := make([]*wire.Entry, 0, len(c.Records))
	for i := range c.Records {
		e := &c.Records[i]
		v := e.Record.Version
		if repair {
			lacking, err := r.lacking(e, c)
			if err != nil {
				return err
			}
			if lacking {
				entries = append(entries, e)
			}
			continue
		}
		if r.know.Holds(e.Collection, e.Record.Key, v) {
			r.got.Duplicates++
			continue
		}
		if v.Writer.Device == r.db.writer.Device && r.returned(e) {
			r.got.Duplicates++
			continue
		}
		if own := e.Record.Seen[r.db.writer]; own > r.ownGen {
			return r.setBack(own)
		}
		if err := r.check(e); err != nil {
			return err
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		r.got.Echoes = append(r.got.Echoes, c)
		return nil
	}
	if c.Time > hlc.MaxTime {
		return &Refusal{RefusedTime, fmt.Errorf("a commit of %s with the impossible time %v", c.Writer, c.Time.Wall())}
	}
	ahead := !r.db.clock.Observe(r.db.now(), c.Time)
	r.startCommit(true, c.Writer, c.First, c.Count, c.Time)
	if ahead {
		r.got.Ahead++
		follows, err := r.follows(entries, c.Time)
		if err != nil {
			return err
		}
		if !follows {
			r.got.aheadOf(c.Writer, c.Time)
		}
	}
	for _, e := range entries {
		if err := r.takeRecord(e); err != nil {
			return err
		}
	}
	return nil
}

// returned reports whether a record of this device in a former epoch is in the log, although it is not known to be: that
// is so after a renewal that had to doubt it.
func (r *receiver) returned(e *wire.Entry) bool {
	coll := r.db.colls[e.Collection]
	if coll == nil {
		return false
	}
	if _, err := r.db.s.kv.Get(logKey(r.db.num, coll.num, e.Record.Version)); err != nil {
		return false
	}
	r.note(e)
	return true
}

// note takes note that a record is held.
func (r *receiver) note(e *wire.Entry) {
	if r.letter != nil {
		return
	}
	s, found := delta.Innermost(r.scopes, e.Collection, e.Record.Key)
	if !found || !r.know.Add(s, e.Record.Version) || s == r.moved {
		return
	}
	r.touched[s], r.moved = true, s
}

// check refuses records that no correct device writes.
func (r *receiver) check(e *wire.Entry) error {
	if e.Record.Key != "" || e.Record.Kind != wire.Put {
		return nil
	}
	if e.Collection.Kind != id.Rows {
		return &Refusal{RefusedAccessList, fmt.Errorf("an access list for %s", e.Collection)}
	}
	if _, err := perm.Parse(e.Record.Value, perm.CollectionTags); err != nil {
		return &Refusal{RefusedAccessList, fmt.Errorf("access list of %s: %w", e.Collection, err)}
	}
	return nil
}

// follows reports whether a time needs no clock to explain it: one of the rows has a version that is about as late, and whoever writes
// on top of that has to be later.
func (r *receiver) follows(entries []*wire.Entry, t hlc.Time) (bool, error) {
	for _, e := range entries {
		row, err := r.row(r.enter(e.Collection), e.Record.Key)
		if err != nil {
			return false, err
		}
		if len(row.Heads) > 0 && row.Time()+1 >= t {
			return true, nil
		}
	}
	return false, nil
}

// enter returns the collection of a record; those of a commit mostly have the same.
func (r *receiver) enter(name id.Collection) *collection {
	if r.entered == nil || r.entered.id != name {
		r.entered = r.db.enter(r.b, name, r.fresh)
	}
	return r.entered
}

func (r *receiver) takeRecord(e *wire.Entry) error {
	coll := r.enter(e.Collection)
	row, err := r.row(coll, e.Record.Key)
	if err != nil {
		return err
	}
	r.revive(coll, row, &e.Record)
	outcome := r.record(coll, row, &e.Record)
	r.forsake(coll, row, &e.Record)
	r.got.Records++
	if outcome != history.Known && e.Record.Kind == wire.Put {
		r.got.Fresh = append(r.got.Fresh, Arrival{Collection: e.Collection, Record: &e.Record})
	}
	r.note(e)
	return nil
}

// writeKnowledge persists the vectors that moved.
func (r *receiver) writeKnowledge() {
	for _, s := range r.scopes {
		if r.touched[s] {
			r.setKnowledge(s, r.know.Stored(s))
		}
	}
}

func (t *txn) setKnowledge(s id.Scope, v id.Vector) {
	coll := t.db.enter(t.b, s.Collection, t.fresh)
	t.b.Set(rowKey(spaceKnowledge, t.db.num, coll.num, s.Prefix), wire.AppendVector([]byte{valueVersion}, v))
}

// Track begins to keep knowledge of the scopes, durably: from now on records of other devices may be received for them.
func (db *DB) Track(scopes []id.Scope) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return err
	}
	t := db.begin()
	know := db.know.Clone()
	for _, s := range scopes {
		if err := s.Validate(); err != nil {
			t.b.Discard()
			return refusal{err}
		}
		if !know.Tracks(s) {
			know.Track(s)
			know.Advance(s, db.rec.formerVector(db.writer.Device))
			t.setKnowledge(s, know.Stored(s))
		}
	}
	if t.b.Empty() {
		t.b.Discard()
		return nil
	}
	if err := t.b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	db.adopt(t.fresh)
	// The batch was synced after everything applied before it, so all of that is durable too.
	db.meta.Add(1)
	db.publish(db.advance(know))
	return nil
}
