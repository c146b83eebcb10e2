package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// DB is one database. Safe for concurrent use.
type DB struct {
	s    *Store
	name id.Name
	num  uint32
	// mu is held while a commit reads the state it builds on and is applied; it orders commits. It guards the fields
	// below it.
	mu        sync.Mutex
	destroyed bool
	// writer is this device in its present epoch in the database, which is the one after so many renewals since the start,
	// the last of them at a time.
	writer   id.Writer
	renewals int
	renewed  time.Time
	seq      uint64
	// used is the sum of what Used returns.
	used uint64
	// standing is what parts it.
	standing standing
	// counting is held by who counts standing; it is locked before mu and guards nothing.
	counting sync.Mutex
	// past is seqHead.past of the last commit.
	past uint64
	// behind is seqHead.past of the last commit that was reclaimed.
	behind uint64
	// queueAt is where the next step of reclaiming goes on in the queue of tombstones that wait, nil at its start.
	queueAt []byte
	know    *delta.Knowledge
	// rev counts the states that know has had.
	rev   uint64
	colls map[id.Collection]*collection
	byNum map[uint32]*collection
	rec   databaseRecord
	// policy says who settles conflicts.
	policy merge.Policy

	// letters are the commits that were refused and set aside; the list is replaced, never changed.
	letters letters

	// open knows what is in conflict.
	open openIndex

	// clock orders the writes of this database: a peer with a wrong clock moves those of no database that it does not share.
	clock hlc.Clock
	// large is the memory of the last step from a peer if that was a large one, for the next.
	large *scratch
	// skew is what SetSkew said, in nanoseconds.
	skew atomic.Int64
	// frozen is what Freeze was told.
	frozen Frozen

	// meta counts changes of syncgroups' metadata, for Published.
	meta atomic.Uint64

	// floor is the last commit that was reclaimed; readers hold it back.
	floor atomic.Uint64
	// littered is what Litter returns.
	littered atomic.Uint64
	readers  readers

	// answers are the pulls that are being answered.
	answers answers

	// tail serves subscriptions.
	tail tail

	// pub guards the fields below it: what is durable, and so may be shown to peers and watchers.
	pub       sync.Mutex
	published Published
	// paused is Settings.SyncPaused as of the last commit that is published.
	paused bool
	// pending is knowledge to be published once its Seq is.
	pending Published
	// more is closed and replaced whenever published changes.
	more chan struct{}
}

// collection is a collection's number and, while it exists, its access list.
type collection struct {
	id  id.Collection
	num uint32
	// perms is nil while the collection does not exist.
	perms   perm.List
	version id.Version
	// dropped are the deletes whose tombstones are gone, up to these generations; the latest was made at droppedAt.
	dropped   id.Vector
	droppedAt hlc.Time
	// digests are those of its scopes that were ever asked for.
	digests []*digest
	// burial is what is known of the rows that were destroyed with the collection.
	burial burial
	// deletions says whether there are tombstones; see DB.buries.
	deletions deletions
}

// Published is the durable state of a database's log. Know is shared and must not be changed.
type Published struct {
	Seq  uint64
	Know *delta.Knowledge
	// Meta grows whenever the metadata of a syncgroup, or what this device keeps of one for itself, may have changed.
	Meta uint64
	// Paused: nothing is to be sent to peers or received from them.
	Paused bool
	// rev orders states, of which several can have one Seq.
	rev uint64
}

func (s *Store) openDB(name id.Name, record []byte) (*DB, error) {
	db := &DB{
		s: s, name: name, more: make(chan struct{}), tail: tail{maxBatches: tailBatches, maxBytes: tailBytes},
		colls: map[id.Collection]*collection{}, byNum: map[uint32]*collection{},
	}
	rec, err := decodeDatabase(record)
	if err != nil {
		return nil, err
	}
	db.rec, db.num, db.paused = rec, rec.num, rec.Settings.SyncPaused
	db.writer = id.Writer{Device: s.writer.Device, Epoch: rec.epoch}
	for _, load := range []func() error{
		db.loadLog, db.loadFloor, db.loadCollections, db.loadKnowledge, db.loadDropped, db.loadPolicy, db.loadOpenIndex,
		db.loadDigests, db.loadLetters,
	} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	db.published = Published{Seq: db.seq, Know: db.know.Clone(), Paused: db.paused}
	return db, nil
}

// loadLog finds where the log goes on.
func (db *DB) loadLog() error {
	prefix := dbKey(spaceSeq, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	var head seqHead
	if it.Last() {
		var first, count uint64
		head, count, err = seqHeader(it.Value())
		if err == nil {
			first, err = seqOf(it.Key())
		}
		if err == nil {
			db.seq, db.used, db.past = first+count-1, head.used, head.past
		}
	}
	if n := len(db.rec.Former); n > 0 && db.seq <= db.rec.Former[n-1].Seq {
		head.ownGen = 0
	}
	head.ownGen = max(head.ownGen, db.rec.Reserved)
	db.know = delta.NewKnowledge(id.Version{Writer: db.writer, Gen: head.ownGen})
	return errors.Join(err, it.Close())
}

func (db *DB) loadCollections() error {
	prefix := dbKey(spaceCollection, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(it.Key()) != collKeyLen {
			err = corrupt("collection record", nil)
			break
		}
		c := cursor{data: it.Value()}
		c.version()
		coll := &collection{
			num: binary.BigEndian.Uint32(it.Key()[5:]),
			id: id.Collection{
				Kind: id.CollectionKind(c.byte()),
				Name: id.Name{Owner: id.Principal(c.string()), Local: c.string()},
			},
		}
		if c.bad {
			err = corrupt("collection record", nil)
			break
		}
		db.colls[coll.id], db.byNum[coll.num] = coll, coll
		err = errors.Join(db.loadCollectionPerms(coll), db.loadBurial(coll))
	}
	return errors.Join(err, it.Close())
}

func (db *DB) loadCollectionPerms(coll *collection) error {
	data, err := db.s.kv.Get(collKey(spaceRow, db.num, coll.num))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	head, err := decodeHead(data)
	if err != nil {
		return err
	}
	coll.version = head.Version
	coll.perms, err = perm.Parse(head.Value, perm.CollectionTags)
	return err
}

func (db *DB) loadKnowledge() error {
	prefix := dbKey(spaceKnowledge, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(it.Key()) < collKeyLen {
			err = corrupt("knowledge", nil)
			break
		}
		coll := db.byNum[binary.BigEndian.Uint32(it.Key()[5:])]
		if coll == nil || len(it.Value()) == 0 || it.Value()[0] != valueVersion {
			err = corrupt("knowledge", nil)
			break
		}
		var v id.Vector
		if v, err = wire.DecodeVector(it.Value()[1:]); err == nil {
			s := id.Scope{Collection: coll.id, Prefix: string(it.Key()[9:])}
			db.know.Track(s)
			db.know.Advance(s, v)
		}
	}
	return errors.Join(err, it.Close())
}

// Name returns the database's name.
func (db *DB) Name() id.Name { return db.name }

// Num is the number by which this device's other rooms may refer to the database; it is never reused.
func (db *DB) Num() uint32 { return db.num }

// SetSkew says by how much the wall clock is behind for the purposes of this database. It holds until the store is closed.
func (db *DB) SetSkew(d time.Duration) { db.skew.Store(int64(d)) }

// now is the time at which a commit is written.
func (db *DB) now() time.Time { return db.s.opts.Now().Add(time.Duration(db.skew.Load())) }

// Writer names this device as the author of its records in the database, until it becomes another one (see Renew).
func (db *DB) Writer() id.Writer { return db.Published().Know.Own().Writer }

// Published returns what is durable.
func (db *DB) Published() Published {
	db.pub.Lock()
	defer db.pub.Unlock()
	return db.published
}

// More returns what is durable and a channel that is closed as soon as that changes.
func (db *DB) More() (Published, <-chan struct{}) {
	db.pub.Lock()
	defer db.pub.Unlock()
	return db.published, db.more
}

// advance makes know the state of the database and returns it as it is to be published. Called with mu held.
func (db *DB) advance(know *delta.Knowledge) Published {
	db.know = know
	db.rev++
	return Published{Seq: db.seq, Know: know.Clone(), rev: db.rev}
}

// publish makes a durable state visible. States may arrive out of order; an older one is covered by a newer.
func (db *DB) publish(p Published) {
	db.pub.Lock()
	defer db.pub.Unlock()
	if p.rev <= db.published.rev {
		return
	}
	if late := db.pending; late.rev > p.rev && late.Seq <= p.Seq {
		p = late
	}
	db.show(p)
}

// learn publishes a state that came without records as soon as everything applied before it is durable.
func (db *DB) learn(p Published) {
	db.pub.Lock()
	defer db.pub.Unlock()
	db.pending = p
	if db.published.Seq >= p.Seq {
		db.show(p)
	}
}

// stir tells everybody to look again: metadata has changed, or the database is gone.
func (db *DB) stir() {
	db.pub.Lock()
	defer db.pub.Unlock()
	db.show(db.published)
}

// show sets what is published. Called with pub held.
func (db *DB) show(p Published) {
	p.Meta, p.Paused = db.meta.Load(), db.paused
	db.published = p
	close(db.more)
	db.more = make(chan struct{})
}

// Err returns ErrDestroyed once the database is gone.
func (db *DB) Err() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.alive()
}

// alive is called with mu held.
func (db *DB) alive() error {
	if db.destroyed {
		return fmt.Errorf("%w: %s", ErrDestroyed, db.name)
	}
	return nil
}

// Permissions returns the database's access list, which is not to be changed, and its version.
func (db *DB) Permissions() (perm.List, string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.rec.Permissions, listVersion(db.rec.listVer)
}

// listVersion is the text form of the version of an access list that is not a row.
func listVersion(n uint64) string { return strconv.FormatUint(n, 10) }

// SetPermissions replaces the access list. With a version it fails with ErrConflict unless that is still the list's.
func (db *DB) SetPermissions(list perm.List, version string) (string, error) {
	if err := list.Validate(perm.DatabaseTags); err != nil {
		return "", refusal{err}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return "", err
	}
	if now := listVersion(db.rec.listVer); version != "" && version != now {
		return "", fmt.Errorf("access list of %s has version %s, not %s: it %w", db.name, now, version, ErrConflict)
	}
	rec := db.rec
	rec.Permissions, rec.listVer = list.Clone(), rec.listVer+1
	if err := db.store(rec); err != nil {
		return "", err
	}
	return listVersion(rec.listVer), nil
}

// Collections returns the application's collections that exist, in order.
func (db *DB) Collections() []id.Collection {
	db.mu.Lock()
	defer db.mu.Unlock()
	var list []id.Collection
	for _, c := range db.colls {
		if c.id.Kind == id.Rows && c.perms != nil {
			list = append(list, c.id)
		}
	}
	slices.SortFunc(list, id.Collection.Compare)
	return list
}

// CollectionPermissions returns the access list of a collection, which is not to be changed, and the version it has.
func (db *DB) CollectionPermissions(c id.Collection) (perm.List, id.Version, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	coll := db.colls[c]
	if coll == nil || coll.perms == nil {
		return nil, id.Version{}, fmt.Errorf("%w: %s", ErrNoCollection, c)
	}
	return coll.perms, coll.version, nil
}

// CollectionNum returns the number of a collection that this device has heard of.
func (db *DB) CollectionNum(c id.Collection) (uint32, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if coll := db.colls[c]; coll != nil {
		return coll.num, true
	}
	return 0, false
}

// CollectionByNum is the inverse of CollectionNum.
func (db *DB) CollectionByNum(num uint32) (id.Collection, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if coll := db.byNum[num]; coll != nil {
		return coll.id, true
	}
	return id.Collection{}, false
}

// enter returns the collection's entry, giving it a number when it has none. Called with mu held; the entry becomes part
// of the database when the batch is applied and adopt is called.
func (db *DB) enter(b *kv.Batch, c id.Collection, fresh map[id.Collection]*collection) *collection {
	if coll := db.colls[c]; coll != nil {
		return coll
	}
	if coll := fresh[c]; coll != nil {
		return coll
	}
	coll := &collection{id: c, num: uint32(len(db.colls)+len(fresh)) + 1}
	for db.byNum[coll.num] != nil || numbered(fresh, coll.num) { // a repair may have left numbers out
		coll.num++
	}
	b.Set(collKey(spaceCollection, db.num, coll.num), appendCollection(nil, c))
	fresh[c] = coll
	return coll
}

func numbered(fresh map[id.Collection]*collection, num uint32) bool {
	for _, coll := range fresh {
		if coll.num == num {
			return true
		}
	}
	return false
}

func appendCollection(dst []byte, c id.Collection) []byte {
	dst = append(dst, valueVersion, byte(c.Kind))
	dst = binary.AppendUvarint(dst, uint64(len(c.Name.Owner)))
	dst = append(dst, c.Name.Owner...)
	dst = binary.AppendUvarint(dst, uint64(len(c.Name.Local)))
	return append(dst, c.Name.Local...)
}

// adopt takes fresh entries into the database after their batch was applied. Called with mu held.
func (db *DB) adopt(fresh map[id.Collection]*collection) {
	for c, coll := range fresh {
		db.colls[c], db.byNum[coll.num] = coll, coll
	}
}
