package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Finding is something in the store that must not be.
type Finding struct {
	// Database is zero when the finding belongs to none.
	Database id.Name
	// Rule names the invariant that does not hold.
	Rule Rule
	// Key where it was found, in the form of docs/format.md.
	Key []byte
	// Text says what was found there.
	Text string
	// Remedy says what Repair does about it, empty for nothing.
	Remedy string
	// Loses: the remedy gives up something that may have been acknowledged.
	Loses bool

	mend mend
}

// Rule is an invariant of the store.
type Rule string

// The invariants.
const (
	// RuleEncoding: every value and key can be read.
	RuleEncoding Rule = "encoding"
	// RuleOwner: every key belongs to a database and collection that exist, and numbers are used once.
	RuleOwner Rule = "owner"
	// RuleSequence: the commits have no hole, and generations do not go back.
	RuleSequence Rule = "sequence"
	// RuleChange: the current version of a row is in the log, and so is a listed change unless something was reclaimed.
	RuleChange Rule = "change"
	// RuleLog: a log record lies within what is known and within the commits, and the row's current version covers it.
	RuleLog Rule = "log"
	// RuleRow: a row is not present and deleted at once.
	RuleRow Rule = "row"
	// RuleOpen: a row in conflict has its other heads, and no other row has any; readers see the last written.
	RuleOpen Rule = "open"
	// RuleKnowledge: knowledge is kept of collections that exist, and never of the device itself.
	RuleKnowledge Rule = "knowledge"
	// RuleUsed: the size that is kept is the size that there is.
	RuleUsed Rule = "used"
)

// Summary counts what was looked at.
type Summary struct {
	Databases, Collections, Rows, Tombstones, Records, Commits, Findings int
}

// Check goes through everything that the store keeps and reports what breaks an invariant. The store may be in use.
func (s *Store) Check(ctx context.Context, report func(Finding), how Progress) (Summary, error) {
	snap := s.kv.Snapshot()
	from, lost, err := CheckFiles(ctx, s.kv, snap, report, how)
	var sum Summary
	if err == nil {
		sum, err = CheckTelling(ctx, from, report, how.Keys)
	}
	sum.Findings += lost
	return sum, errors.Join(err, snap.Close())
}

// CheckDir is Check for a directory that nobody has open. It changes nothing in it.
func CheckDir(ctx context.Context, dir string, opts kv.Options, report func(Finding)) (Summary, error) {
	opts.ReadOnly = true
	store, err := kv.Open(dir, opts)
	if err != nil {
		return Summary{}, err
	}
	sum, err := Check(ctx, store, report)
	return sum, errors.Join(err, store.Close())
}

// Check is Store.Check for a store that need not be sound enough to be opened: it reads keys and values alone.
func Check(ctx context.Context, from kv.Reader, report func(Finding)) (Summary, error) {
	return CheckTelling(ctx, from, report, nil)
}

// CheckTelling is Check that tells now and then how many keys it has looked at.
func CheckTelling(ctx context.Context, from kv.Reader, report func(Finding), looked func(keys int)) (Summary, error) {
	c := checker{ctx: ctx, from: from, report: report, looked: looked}
	if looked != nil {
		looked(0)
	}
	err := c.store()
	return c.sum, err
}

// tellEvery is after how many keys CheckTelling tells.
const tellEvery = 10_000

// checker goes through one store.
type checker struct {
	ctx    context.Context
	from   kv.Reader
	report func(Finding)
	sum    Summary
	// looked is told how many keys were visited; it may be nil.
	looked func(keys int)
	keys   int
}

func (c *checker) found(db id.Name, rule Rule, key []byte, format string, args ...any) {
	c.mendable(db, mend{}, rule, key, format, args...)
}

// mendable is found for what can be repaired.
func (c *checker) mendable(db id.Name, m mend, rule Rule, key []byte, format string, args ...any) {
	c.sum.Findings++
	c.report(Finding{
		Database: db, Rule: rule, Key: bytes.Clone(key), Text: fmt.Sprintf(format, args...),
		Remedy: m.what, Loses: m.loses, mend: m,
	})
}

// each visits a range in order.
func (c *checker) each(lo, hi []byte, visit func(key, value []byte)) error {
	it, err := c.from.Iter(lo, hi)
	if err != nil {
		return err
	}
	for ok := it.First(); ok && c.ctx.Err() == nil; ok = it.Next() {
		visit(it.Key(), it.Value())
		if c.keys++; c.looked != nil && c.keys%tellEvery == 0 {
			c.looked(c.keys)
		}
	}
	return errors.Join(c.ctx.Err(), it.Close())
}

// unknown reports whether what was asked for lies where the store cannot be read. That is no news: whoever hands out such a
// store has reported it.
func (c *checker) unknown(err error) bool { return kv.Partial(c.from) && errors.Is(err, kv.ErrDamaged) }

func (c *checker) prefix(prefix []byte, visit func(key, value []byte)) error {
	return c.each(prefix, kv.PrefixEnd(prefix), visit)
}

func (c *checker) store() error {
	var writer id.Writer
	data, err := c.from.Get(keyWriter)
	switch {
	case errors.Is(err, kv.ErrNotFound), c.unknown(err):
	case err != nil:
		return err
	case len(data) != wire.WriterLen:
		c.found(id.Name{}, RuleEncoding, keyWriter, "device name of %d bytes", len(data))
	default:
		writer = wire.DecodeWriter(data)
	}
	var dbs []*checkedDB
	nums := map[uint32]bool{}
	err = c.prefix([]byte{spaceDatabase}, func(key, value []byte) {
		name, valid := parseName(key[1:])
		rec, err := decodeDatabase(bytes.Clone(value))
		if !valid || err != nil {
			c.found(name, RuleEncoding, key, "database record: %v", err)
		}
		if rec.num == 0 {
			return
		}
		if nums[rec.num] {
			c.found(name, RuleOwner, key, "database number %d is used twice", rec.num)
			return
		}
		nums[rec.num] = true
		dbs = append(dbs, &checkedDB{
			checker: c, name: name, rec: rec, colls: map[uint32]*checkedCollection{}, dropped: map[uint32]bool{}, left: map[litter]bool{},
			writer: id.Writer{Device: writer.Device, Epoch: rec.epoch},
		})
	})
	if err != nil {
		return err
	}
	if writer.Device == (id.Device{}) {
		if writer, err = c.lostWriter(len(dbs) > 0); err != nil {
			return err
		}
		for _, d := range dbs {
			d.writer.Device = writer.Device
		}
	}
	if err := errors.Join(c.numbers(nums), c.orphans(nums, writer.Device)); err != nil {
		return err
	}
	for _, db := range dbs {
		c.sum.Databases++
		for _, step := range []func() error{db.collections, db.unnamed, db.reclaimed, db.sequence, db.knowledge, db.burials, db.unburied, db.rows, db.tombstones, db.openHeads, db.log, db.digests, db.letters, db.size} {
			if err := step(); err != nil {
				return err
			}
		}
	}
	return nil
}

// orphans looks for keys of databases that do not exist, by leaping from one number to the next.
func (c *checker) orphans(nums map[uint32]bool, device id.Device) error {
	named := map[uint32]bool{} // they get a name again
	for _, space := range spacesOfDatabase {
		it, err := c.from.Iter([]byte{space}, []byte{space + 1})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			if len(it.Key()) < 5 {
				c.mendable(id.Name{}, dropKey(it.Key()), RuleEncoding, it.Key(), "key of %d bytes", len(it.Key()))
				ok = it.Next()
				continue
			}
			num := binary.BigEndian.Uint32(it.Key()[1:])
			if !nums[num] && !named[num] {
				m, err := c.lostDatabase(num, device)
				if err != nil {
					return errors.Join(err, it.Close())
				}
				if named[num] = m.apply != nil; !named[num] {
					m = dropPrefix(dbKey(space, num))
				}
				c.mendable(id.Name{}, m, RuleOwner, it.Key(), "there is no database with the number %d", num)
			}
			next := kv.PrefixEnd(dbKey(space, num))
			ok = it.SeekGE(next)
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	return nil
}
