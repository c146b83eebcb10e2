package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Sentinels that callers branch on.
var (
	ErrNoDatabase   = errors.New("no such database")
	ErrNoCollection = errors.New("no such collection")
	ErrNoRow        = errors.New("no such row")
	ErrExists       = errors.New("already exists")
	// ErrConflict means that a check of a batch failed, or that a version given by the caller is no longer current.
	ErrConflict = errors.New("changed in the meantime")
	ErrInvalid  = errors.New("invalid argument")
	// ErrDestroyed means that the database was destroyed while it was in use.
	ErrDestroyed = errors.New("database was destroyed")
)

// References is told of row values, so that blob references can be kept in step with rows, and malformed ones kept out.
type References interface {
	// CheckValue tells why a JSON value that a local writer puts into a row cannot stand there, nil when it can. It is not
	// asked about what peers send.
	CheckValue(value []byte) error
	// IndexRow adds to the batch what a change of the row from the old to the new value means; nil is no value.
	IndexRow(b *kv.Batch, db, coll uint32, key string, old, new []byte) error
	// DropDatabase adds to the batch the removal of everything IndexRow kept for a database.
	DropDatabase(b *kv.Batch, db uint32) error
}

// Options of a store.
type Options struct {
	// Now is the wall clock; required.
	Now func() time.Time
	// NewDevice makes the identity of a new store; required.
	NewDevice func() id.Device
	// Random returns numbers that are hard to meet twice, for the epochs of stores that were set back. Without it they are
	// no more than unlike the last one.
	Random func() uint32
	// References may be nil.
	References References
	// Merge may be nil: then concurrent changes of a syncgroup's metadata are settled like those of any row.
	Merge Merger
	// Owner has every kind of access to the store until an access list is set; empty is nobody.
	Owner id.Principal
}

// Store holds the databases of a device. Safe for concurrent use.
type Store struct {
	kv   *kv.Store
	opts Options
	// unsynced has the commits that Run is to make durable.
	unsynced unsynced
	// sweep has room for one wish that Sweep look again.
	sweep chan struct{}

	// mu guards the fields below it and the numbering of databases. It is taken before a DB's own lock, never after.
	mu     sync.Mutex
	writer id.Writer
	dbs    map[id.Name]*DB
	// service is the access list of the store as a whole.
	service serviceList
	// changed is closed and replaced whenever a database comes or goes; guarded by mu.
	changed chan struct{}
}

// Open reads the databases that lie in the store.
func Open(store *kv.Store, opts Options) (*Store, error) {
	if opts.Random == nil {
		opts.Random = func() uint32 { return 0 }
	}
	s := &Store{kv: store, opts: opts, dbs: map[id.Name]*DB{}, changed: make(chan struct{}), sweep: make(chan struct{}, 1)}
	s.unsynced.queue = make(chan *together, maxUnsynced)
	if err := errors.Join(s.loadWriter(), s.loadService()); err != nil {
		return nil, err
	}
	it, err := store.Iter([]byte{spaceDatabase}, []byte{spaceDatabase + 1})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		name, valid := parseName(it.Key()[1:])
		if !valid {
			err = corrupt("database name", nil)
			break
		}
		var db *DB
		if db, err = s.openDB(name, slices.Clone(it.Value())); err != nil {
			err = fmt.Errorf("database %s: %w", name, err)
			break
		}
		s.dbs[name] = db
	}
	return s, errors.Join(err, it.Close())
}

// Writer names this device in its present epoch.
func (s *Store) Writer() id.Writer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writer
}

func (s *Store) loadWriter() error {
	data, err := s.kv.Get(keyWriter)
	if errors.Is(err, kv.ErrNotFound) {
		s.writer = id.Writer{Device: s.opts.NewDevice(), Epoch: 1}
		b := s.kv.NewBatch()
		b.Set(keyWriter, wire.AppendWriter(nil, s.writer))
		return b.Commit(kv.Sync)
	}
	if err != nil {
		return err
	}
	if len(data) != wire.WriterLen {
		return corrupt("device name", nil)
	}
	s.writer = wire.DecodeWriter(data)
	return nil
}

// Create makes an empty database that belongs to name.Owner.
func (s *Store) Create(name id.Name, list perm.List) (*DB, error) {
	if err := errors.Join(name.Validate(), list.Validate(perm.DatabaseTags)); err != nil {
		return nil, refusal{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dbs[name] != nil {
		return nil, fmt.Errorf("database %s %w", name, ErrExists)
	}
	num, err := s.nextNumber()
	if err != nil {
		return nil, err
	}
	rec := databaseRecord{num: num, listVer: 1, epoch: s.writer.Epoch, databaseDoc: databaseDoc{Permissions: list}}
	record, err := rec.encode()
	if err != nil {
		return nil, err
	}
	b := s.kv.NewBatch()
	b.Set(databaseKey(name), record)
	b.Set(keyNextDB, binary.BigEndian.AppendUint32(nil, num+1))
	if err := b.Commit(kv.Sync); err != nil {
		return nil, writeError(err)
	}
	db, err := s.openDB(name, record)
	if err != nil {
		return nil, err
	}
	s.dbs[name] = db
	s.notify()
	return db, nil
}

func (s *Store) nextNumber() (uint32, error) {
	data, err := s.kv.Get(keyNextDB)
	if errors.Is(err, kv.ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, err
	}
	if len(data) != 4 {
		return 0, corrupt("database counter", nil)
	}
	return binary.BigEndian.Uint32(data), nil
}

// Database returns an existing database.
func (s *Store) Database(name id.Name) (*DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if db := s.dbs[name]; db != nil {
		return db, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoDatabase, name)
}

// Databases returns all of them in order of their names, and a channel that is closed when the set changes.
func (s *Store) Databases() ([]*DB, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*DB, 0, len(s.dbs))
	for _, db := range s.dbs {
		list = append(list, db)
	}
	slices.SortFunc(list, func(a, b *DB) int { return a.name.Compare(b.name) })
	return list, s.changed
}

// notify is called with mu held.
func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Destroy removes a database with everything in it from this device. It writes a few ranges, whatever the size of the
// database; what others keep of its rows is left to Sweep. Whoever still uses it gets ErrDestroyed.
func (s *Store) Destroy(name id.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	db := s.dbs[name]
	if db == nil {
		return fmt.Errorf("%w: %s", ErrNoDatabase, name)
	}
	// A database of the same name made later must not use this one's generations again: it gets a new epoch.
	next := id.Writer{Device: s.writer.Device, Epoch: s.writer.Epoch + 1}
	b := s.kv.NewBatch()
	b.Reclaims()
	b.Set(keyWriter, wire.AppendWriter(nil, next))
	b.Delete(databaseKey(name))
	for _, space := range spacesOfDatabase {
		prefix := dbKey(space, db.num)
		b.DeleteRange(prefix, kv.PrefixEnd(prefix))
	}
	b.Set(leftoverKey(db.num), nil)
	// Under the database's lock nobody else is between reading its state and writing.
	db.mu.Lock()
	err := b.Commit(kv.Sync)
	if err == nil {
		db.destroyed = true
	}
	db.mu.Unlock()
	if err != nil {
		return writeError(err)
	}
	db.stir()
	s.sweepSoon()
	delete(s.dbs, name)
	s.writer = next
	s.notify()
	return nil
}
