package rows

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// ErrNoConflict means that a row is not in conflict.
var ErrNoConflict = errors.New("row is not in conflict")

// Sibling is one of the concurrent states of a row.
type Sibling struct {
	Version id.Version
	Time    hlc.Time
	Deleted bool
	Raw     bool
	Type    string
	Value   []byte
	// Batch is the version of the first record of its commit; zero when that is no longer known.
	Batch id.Version
}

// Conflict is a row with its concurrent states.
type Conflict struct {
	ConflictRef
	// Siblings are the heads: first the local one, then the others, the last written first. The local one is what this
	// device wrote itself or, if none is, what it knew first. A row that is only drawn into a group has a single one.
	Siblings []Sibling
	// Shown is the version that readers see.
	Shown id.Version
	// Ancestor is the nearest version that all of them follow from; nil when there is none or it is no longer kept.
	Ancestor *Sibling
	// Choice is who settles it, according to the policy and taken alone.
	Choice merge.Choice
}

// Open reports whether there is something to decide.
func (c *Conflict) Open() bool { return len(c.Siblings) > 1 }

func (c *Conflict) size() (n int) {
	for i := range c.Siblings {
		n += len(c.Siblings[i].Value)
	}
	return n
}

// Group is what has to be decided together.
type Group struct {
	// Conflicts are the rows in conflict, then those that were only written along with them, each in order.
	Conflicts []Conflict
	// Batches are the commits of the siblings, by the versions of their first records, in order.
	Batches []id.Version
	// Choice is who settles the group.
	Choice merge.Choice
}

// Conflicts visits the rows in conflict in order, those after a given one if it is not zero, until visit returns false.
func (db *DB) Conflicts(after ConflictRef, visit func(Conflict) (bool, error)) error {
	refs, err := db.ConflictRefs()
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if (after != ConflictRef{}) && ref.Compare(after) <= 0 {
			continue
		}
		c, err := db.Conflict(ref)
		if errors.Is(err, ErrNoConflict) || errors.Is(err, ErrNoCollection) {
			continue // ended meanwhile
		}
		if err != nil {
			return err
		}
		if more, err := visit(c); err != nil || !more {
			return err
		}
	}
	return nil
}

// ConflictRefs lists the rows in conflict, in order.
func (db *DB) ConflictRefs() ([]ConflictRef, error) {
	if err := db.Err(); err != nil {
		return nil, err
	}
	prefix := dbKey(spaceOpen, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return nil, err
	}
	var list []ConflictRef
	for ok := it.First(); ok; ok = it.Next() {
		num, key, _, valid := parseOpenKey(it.Key())
		c, known := db.CollectionByNum(num)
		if !valid || !known {
			return nil, errors.Join(corrupt("open head", nil), it.Close())
		}
		ref := ConflictRef{c, key}
		if n := len(list); n == 0 || list[n-1] != ref {
			list = append(list, ref)
		}
	}
	slices.SortFunc(list, ConflictRef.Compare)
	return list, it.Close()
}

// Conflict returns a row that is in conflict. Errors: ErrNoConflict, ErrNoCollection.
func (db *DB) Conflict(ref ConflictRef) (Conflict, error) {
	v, at, err := db.view(ref)
	if err != nil {
		return Conflict{}, err
	}
	defer v.close()
	row, err := loadGroupRow(v, at)
	if err != nil {
		return Conflict{}, err
	}
	if len(row.heads) < 2 {
		return Conflict{}, errNoConflict(ref)
	}
	return v.conflict(&row)
}

// ConflictGroup returns what has to be decided together with a row that is in conflict.
func (db *DB) ConflictGroup(ref ConflictRef) (Group, error) {
	v, at, err := db.view(ref)
	if err != nil {
		return Group{}, err
	}
	defer v.close()
	g, err := closure(v, at)
	if err != nil {
		return Group{}, err
	}
	if len(g.contested) == 0 {
		return Group{}, errNoConflict(ref)
	}
	out := Group{Choice: g.choice(&v.policy)}
	size := 0
	for _, rows := range [][]groupRow{g.contested, g.drawn} {
		slices.SortFunc(rows, func(a, b groupRow) int { return a.ref.conflict().Compare(b.ref.conflict()) })
		for i := range rows {
			c, err := v.conflict(&rows[i])
			if err != nil {
				return Group{}, err
			}
			if size += c.size(); size > MaxGroupBytes && len(out.Conflicts) > 0 {
				continue
			}
			out.Conflicts = append(out.Conflicts, c)
		}
	}
	for name := range g.batches {
		out.Batches = append(out.Batches, name)
	}
	slices.SortFunc(out.Batches, id.Version.Compare)
	return out, nil
}

// ConflictChoice returns who settles a conflict, and the rows in conflict that have to be decided with it, itself among them.
func (db *DB) ConflictChoice(ref ConflictRef) (merge.Choice, []ConflictRef, error) {
	v, at, err := db.view(ref)
	if err != nil {
		return merge.Choice{}, nil, err
	}
	defer v.close()
	g, err := closure(v, at)
	if err != nil {
		return merge.Choice{}, nil, err
	}
	if len(g.contested) == 0 {
		return merge.Choice{}, nil, errNoConflict(ref)
	}
	refs := make([]ConflictRef, len(g.contested))
	for i := range g.contested {
		refs[i] = g.contested[i].ref.conflict()
	}
	return g.choice(&v.policy), refs, nil
}

func (r rowRef) conflict() ConflictRef { return ConflictRef{r.coll.id, r.key} }

// view is the database at one moment, for reading conflicts.
type view struct {
	db     *DB
	snap   *kv.Snapshot
	policy merge.Policy
	colls  map[uint32]*collection
}

// view opens a view, and finds the row in it. The caller must close it.
func (db *DB) view(ref ConflictRef) (*view, rowRef, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, rowRef{}, err
	}
	coll := db.colls[ref.Collection]
	if coll == nil || coll.perms == nil || coll.id.Kind != id.Rows {
		return nil, rowRef{}, fmt.Errorf("%w: %s", ErrNoCollection, ref.Collection)
	}
	v := &view{db: db, snap: db.s.kv.Snapshot(), policy: db.policy, colls: map[uint32]*collection{}}
	for num, c := range db.byNum {
		if c.id.Kind == id.Rows {
			v.colls[num] = c
		}
	}
	return v, rowRef{coll, ref.Key}, nil
}

func (v *view) close() { _ = v.snap.Close() }

func (v *view) heads(ref rowRef) ([]history.Head, error) {
	num := v.db.num
	data, err := v.snap.Get(rowKey(spaceRow, num, ref.coll.num, ref.key))
	if errors.Is(err, kv.ErrNotFound) {
		data, err = v.snap.Get(rowKey(spaceTomb, num, ref.coll.num, ref.key))
	}
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, err := decodeHead(data)
	if err != nil {
		return nil, err
	}
	heads := []history.Head{head}
	if contested(data) {
		err = openHeads(v.snap, num, ref.coll.num, ref.key, func(h history.Head, _ []byte) { heads = append(heads, h) })
	}
	return heads, err
}

func (v *view) batchOf(coll *collection, ver id.Version) (*batch, error) {
	return storedBatch(v.db, coll, ver)
}

func (v *view) load(b *batch, coll *collection) error { return b.load(v.db, v.colls, coll) }

// conflict tells what there is to decide about a row.
func (v *view) conflict(row *groupRow) (Conflict, error) {
	c := Conflict{
		ConflictRef: row.ref.conflict(), Shown: row.heads[merge.LastWins(row.heads)].Version,
		Choice: v.policy.For(row.ref.coll.id, row.ref.key, row.heads),
	}
	for i := range row.heads {
		s := sibling(&row.heads[i])
		if b := row.batches[i]; b != nil {
			s.Batch = b.name
		}
		c.Siblings = append(c.Siblings, s)
	}
	if !c.Open() {
		return c, nil
	}
	if err := v.arrange(row, c.Siblings); err != nil {
		return c, err
	}
	return c, v.ancestor(row, &c)
}

func sibling(h *history.Head) Sibling {
	return Sibling{
		Version: h.Version, Time: h.Time, Deleted: h.Deleted, Raw: h.Raw, Type: h.Type, Value: bytes.Clone(h.Value),
	}
}

// arrange puts the local sibling first.
func (v *view) arrange(row *groupRow, list []Sibling) error {
	byTime := func(a, b Sibling) int {
		return merge.Compare(&history.Head{Version: b.Version, Time: b.Time}, &history.Head{Version: a.Version, Time: a.Time})
	}
	slices.SortFunc(list, byTime)
	own := func(s Sibling) bool { return s.Version.Writer.Device == v.db.writer.Device }
	local := slices.IndexFunc(list, own)
	if local < 0 {
		var err error
		if local, err = v.first(row.ref.coll.num, list); err != nil {
			return err
		}
	}
	if local > 0 {
		s := list[local]
		copy(list[1:local+1], list[:local])
		list[0] = s
	}
	return nil
}

// first returns which sibling this device learned first, -1 if nothing tells.
func (v *view) first(coll uint32, list []Sibling) (at int, err error) {
	at = -1
	var seq uint64
	for i := range list {
		_, h, err := v.db.logRecord(coll, list[i].Version)
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return at, err
		}
		if at < 0 || h.seq < seq {
			at, seq = i, h.seq
		}
	}
	return at, nil
}

func (v *view) ancestor(row *groupRow, c *Conflict) error {
	coll := row.ref.coll.num
	ver, found, err := history.Ancestor(row.heads, func(ver id.Version) (wire.Record, hlc.Time, bool, error) {
		rec, h, err := v.db.logRecord(coll, ver)
		if errors.Is(err, kv.ErrNotFound) {
			return rec, 0, false, nil
		}
		return rec, h.time, err == nil, err
	})
	if err != nil || !found {
		return err
	}
	rec, h, err := v.db.logRecord(coll, ver)
	if err != nil {
		return err
	}
	s := sibling(&history.Head{
		Version: ver, Time: h.time, Deleted: rec.Kind == wire.Delete, Raw: rec.Raw, Type: rec.Type, Value: rec.Value,
	})
	s.Batch = id.Version{Writer: ver.Writer, Gen: ver.Gen - h.index}
	c.Ancestor = &s
	return nil
}
