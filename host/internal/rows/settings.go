package rows

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// Durability says when a commit is acknowledged.
type Durability string

const (
	// Sync: what is acknowledged survives power loss.
	Sync Durability = "sync"
	// Async: a commit is acknowledged as soon as readers here see it, and made durable a little later, in order; a power
	// loss or the end of the process may take the last ones, each of them whole, with versions that are never given out again. Peers and watchers see only what is durable. Without Store.Run it is
	// like Sync.
	Async Durability = "async"
)

// Settings are what the administrator of a database chooses for it on this device.
type Settings struct {
	Durability Durability `json:"durability"`
	// QuotaBytes bounds what is in force in the database, as DB.Used counts it; 0 is no bound.
	QuotaBytes uint64 `json:"quota_bytes,omitempty"`
	// SyncPaused: nothing is sent to peers or received from them.
	SyncPaused bool `json:"sync_paused,omitempty"`
}

// MaxSchemaPolicy bounds the policy of a schema.
const MaxSchemaPolicy = 1 << 20

// Schema is what applications note about the database's shape. It stays on this device.
type Schema struct {
	// Version 0 means that there is none.
	Version uint32
	// Policy says who settles conflicts, in the form that merge.ParsePolicy reads.
	Policy json.RawMessage
}

// databaseRecord is the value of a database in its space.
type databaseRecord struct {
	num     uint32
	listVer uint64
	epoch   uint32
	databaseDoc
}

// databaseDoc is the part of the record that is JSON.
type databaseDoc struct {
	Permissions perm.List `json:"permissions"`
	Settings    Settings  `json:"settings"`
	// Reserved is the generation up to which versions may have been given out that a power loss has taken since, all of this epoch.
	Reserved uint64 `json:"reserved,omitempty"`
	// Former are the epochs in which this device wrote before its data was restored, oldest first.
	Former []formerEpoch `json:"former,omitempty"`
}

// formerEpoch is this device as a writer of the past: everything it made up to Gen is held, and its generations are those
// noted in space 15 up to Seq.
type formerEpoch struct {
	Epoch uint32 `json:"epoch"`
	Gen   uint64 `json:"gen"`
	Seq   uint64 `json:"seq"`
}

func (r *databaseRecord) encode() ([]byte, error) {
	data := binary.BigEndian.AppendUint32([]byte{valueVersion}, r.num)
	data = binary.AppendUvarint(data, r.listVer)
	data = binary.BigEndian.AppendUint32(data, r.epoch)
	doc, err := json.Marshal(r.databaseDoc)
	return append(data, doc...), err
}

func decodeDatabase(data []byte) (r databaseRecord, err error) {
	c := cursor{data: data}
	c.version()
	r.num, r.listVer, r.epoch = c.uint32(), c.uvarint(), c.uint32()
	if c.bad {
		return r, corrupt("database record", nil)
	}
	if err := json.Unmarshal(c.data, &r.databaseDoc); err != nil {
		return r, corrupt("database record", err)
	}
	if err := r.Permissions.Validate(perm.DatabaseTags); err != nil {
		return r, corrupt("database access list", err)
	}
	if err := r.Settings.validate(); err != nil {
		return r, corrupt("database settings", err)
	}
	return r, nil
}

func (s *Settings) validate() error {
	switch s.Durability {
	case Sync, Async:
		return nil
	case "":
		s.Durability = Sync
		return nil
	}
	return fmt.Errorf("%w: durability %q, want sync or async", ErrInvalid, s.Durability)
}

// Settings returns the present settings.
func (db *DB) Settings() Settings {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.rec.Settings
}

// SetSettings changes the settings, durably, and returns what they are now. A pause takes effect between two commits: what
// was committed before it may still be sent, nothing that is committed after it is, until the pause ends.
func (db *DB) SetSettings(change func(*Settings)) (Settings, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return Settings{}, err
	}
	rec := db.rec
	change(&rec.Settings)
	if err := rec.Settings.validate(); err != nil {
		return db.rec.Settings, err
	}
	if rec.Settings == db.rec.Settings {
		return rec.Settings, nil
	}
	if err := db.store(rec); err != nil {
		return db.rec.Settings, err
	}
	db.meta.Add(1)
	db.pub.Lock()
	db.paused = rec.Settings.SyncPaused
	db.show(db.published)
	db.pub.Unlock()
	return rec.Settings, nil
}

// store replaces the database's own record. Called with mu held.
func (db *DB) store(rec databaseRecord) error {
	data, err := rec.encode()
	if err != nil {
		return err
	}
	b := db.s.kv.NewBatch()
	b.Set(databaseKey(db.name), data)
	if err := b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	db.rec = rec
	return nil
}

// Schema returns the schema metadata; without any, the zero Schema.
func (db *DB) Schema() (Schema, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return Schema{}, err
	}
	return db.loadSchema()
}

func (db *DB) loadSchema() (Schema, error) {
	data, err := db.s.kv.Get(dbKey(spaceSchema, db.num))
	if errors.Is(err, kv.ErrNotFound) {
		return Schema{}, nil
	}
	if err != nil {
		return Schema{}, err
	}
	return decodeSchema(data)
}

func decodeSchema(data []byte) (Schema, error) {
	c := cursor{data: data}
	c.version()
	s := Schema{Version: c.uint32(), Policy: c.data}
	if c.bad || s.Version == 0 || !json.Valid(s.Policy) {
		return Schema{}, corrupt("schema", nil)
	}
	return s, nil
}

// SetSchema replaces the schema metadata. Only a higher version replaces; for any other it fails with ErrConflict. The new
// policy counts for conflicts to come; those that are open are offered again (TakeConflicts).
func (db *DB) SetSchema(s Schema) error {
	switch {
	case s.Version == 0:
		return fmt.Errorf("%w: schema version 0, versions begin with 1", ErrInvalid)
	case len(s.Policy) > MaxSchemaPolicy:
		return fmt.Errorf("%w: schema policy of %d bytes, the limit is %d", ErrInvalid, len(s.Policy), MaxSchemaPolicy)
	case !json.Valid(s.Policy):
		return fmt.Errorf("%w: schema policy is not JSON", ErrInvalid)
	}
	policy, err := merge.ParsePolicy(s.Policy, db.name.Owner)
	if err != nil {
		return refusal{err}
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return err
	}
	now, err := db.loadSchema()
	if err != nil {
		return err
	}
	if s.Version <= now.Version {
		return fmt.Errorf("schema of %s has version %d, which only a higher one than %d replaces: it %w", db.name, now.Version, s.Version, ErrConflict)
	}
	b := db.s.kv.NewBatch()
	b.Set(dbKey(spaceSchema, db.num), append(binary.BigEndian.AppendUint32([]byte{valueVersion}, s.Version), s.Policy...))
	if err := b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	db.policy = policy
	db.open.mu.Lock()
	db.open.all, db.open.changed = true, nil
	db.open.mu.Unlock()
	db.stir()
	return nil
}

// serviceList is the access list of the whole store.
type serviceList struct {
	list    perm.List
	version uint64
}

// loadService reads the access list of the store; without one it is the owner's.
func (s *Store) loadService() error {
	data, err := s.kv.Get(keyService)
	if errors.Is(err, kv.ErrNotFound) {
		s.service.version = 1
		if s.opts.Owner != "" {
			s.service.list = perm.For(s.opts.Owner, perm.ServiceTags)
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.service, err = decodeService(data)
	return err
}

func decodeService(data []byte) (serviceList, error) {
	c := cursor{data: data}
	c.version()
	s := serviceList{version: c.uvarint()}
	if c.bad {
		return s, corrupt("service access list", nil)
	}
	var err error
	if s.list, err = perm.Parse(c.data, perm.ServiceTags); err != nil {
		return s, corrupt("service access list", err)
	}
	return s, nil
}

// Permissions returns the access list of the store as a whole, which is not to be changed, and its version. Until one is
// set it gives Options.Owner everything, and nobody anything without an owner.
func (s *Store) Permissions() (perm.List, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.service.list, listVersion(s.service.version)
}

// SetPermissions replaces the access list of the store. With a version it fails with ErrConflict unless that is still
// the list's.
func (s *Store) SetPermissions(list perm.List, version string) (string, error) {
	if err := list.Validate(perm.ServiceTags); err != nil {
		return "", refusal{err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := listVersion(s.service.version); version != "" && version != now {
		return "", fmt.Errorf("access list of the service has version %s, not %s: it %w", now, version, ErrConflict)
	}
	next := serviceList{list: list.Clone(), version: s.service.version + 1}
	b := s.kv.NewBatch()
	b.Set(keyService, append(binary.AppendUvarint([]byte{valueVersion}, next.version), list.Marshal()...))
	if err := b.Commit(kv.Sync); err != nil {
		return "", writeError(err)
	}
	s.service = next
	return listVersion(next.version), nil
}

// formerVector is everything that this device wrote in former epochs.
func (r *databaseRecord) formerVector(device id.Device) id.Vector {
	v := id.Vector{}
	for _, f := range r.Former {
		v.Add(id.Version{Writer: id.Writer{Device: device, Epoch: f.Epoch}, Gen: f.Gen})
	}
	return v
}
