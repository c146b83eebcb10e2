package rows

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// digest is the sums of one scope (see package delta), kept in space 1d in step with the rows. It is made by going through
// the rows once, when it is asked for the first time.
type digest struct {
	scope id.Scope
	coll  *collection
	sums  [delta.Buckets]delta.Sum
	// complete: the sums cover every row, and lie in the store.
	complete bool
	// building is closed when whoever goes through the rows has finished.
	building chan struct{}
}

// digestComplete stands in the place of a bucket, as a note that all of them are there.
const digestComplete = 0xff

// digestVersion begins the values of this space. Those of version 1 left out the deletes of rows in conflict: they count as absent.
const digestVersion = 2

func digestKey(db uint32, d *digest, bucket byte) []byte {
	return append(rowKey(spaceDigest, db, d.coll.num, d.scope.Prefix), bucket)
}

func (d *digest) has(key string) bool { return key == "" || strings.HasPrefix(key, d.scope.Prefix) }

// loadDigests reads the sums that are complete.
func (db *DB) loadDigests() error {
	prefix := dbKey(spaceDigest, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key, value := it.Key(), it.Value()
		coll := db.byNum[binary.BigEndian.Uint32(append(key[:len(key):len(key)], 0, 0, 0, 0)[5:])]
		if len(key) < collKeyLen+1 || coll == nil || len(value) == 0 || value[0] > digestVersion {
			err = corrupt("digest", nil)
			break
		}
		if value[0] < digestVersion {
			continue
		}
		d := coll.digest(id.Scope{Collection: coll.id, Prefix: string(key[collKeyLen : len(key)-1])})
		bucket, sum := key[len(key)-1], value[1:]
		switch {
		case bucket == digestComplete:
			d.complete = true
		case int(bucket) < len(d.sums) && len(sum) == 32:
			for i := range d.sums[bucket] {
				d.sums[bucket][i] = binary.BigEndian.Uint64(sum[8*i:])
			}
		default:
			err = corrupt("digest", nil)
		}
	}
	return errors.Join(err, it.Close())
}

// digest returns the digest of a scope of the collection, which may be an empty one.
func (c *collection) digest(s id.Scope) *digest {
	for _, d := range c.digests {
		if d.scope == s {
			return d
		}
	}
	d := &digest{scope: s, coll: c}
	c.digests = append(c.digests, d)
	return d
}

// versionOf is the i-th version of a row.
func versionOf(key string, heads []history.Head, i int) delta.RowVersion {
	h := &heads[i]
	return delta.RowVersion{Key: key, Version: h.Version, Time: h.Time, Deleted: h.Deleted, Contested: len(heads) > 1}
}

// sumOf is the sum of the versions of a row.
func sumOf(key string, heads []history.Head) (s delta.Sum) {
	for i := range heads {
		v := versionOf(key, heads, i)
		s.Add(v.Sum())
	}
	return s
}

// moved is how a transaction changes a digest.
type moved struct {
	d    *digest
	sums [delta.Buckets]delta.Sum
	// touched has a bit for each bucket that changes.
	touched uint64
}

// sum takes note of what a row contributes before and after.
func (t *txn) sum(row *rowState) {
	if len(row.coll.digests) == 0 {
		return
	}
	change := sumOf(row.key, row.Heads)
	change.Subtract(row.sum)
	bucket := delta.Bucket(row.key)
	for _, d := range row.coll.digests {
		if d.has(row.key) {
			m := t.moved(d)
			m.sums[bucket].Add(change)
			m.touched |= 1 << bucket
		}
	}
}

// moved returns how the transaction changes the digest so far.
func (t *txn) moved(d *digest) *moved {
	for _, m := range t.sums {
		if m.d == d {
			return m
		}
	}
	m := &moved{d: d}
	t.sums = append(t.sums, m)
	return m
}

// writeSums puts the buckets that changed into the batch.
func (t *txn) writeSums() {
	for _, m := range t.sums {
		if !m.d.complete {
			continue
		}
		key := digestKey(t.db.num, m.d, 0)
		for bucket := range m.sums {
			if m.touched&(1<<bucket) == 0 {
				continue
			}
			s := m.d.sums[bucket]
			s.Add(m.sums[bucket])
			key[len(key)-1] = byte(bucket)
			t.body = appendSum(t.body[:0], s)
			t.b.Set(key, t.body)
		}
	}
}

// keepSums makes the changes count after the batch was applied.
func (t *txn) keepSums() {
	for _, m := range t.sums {
		for bucket := range m.sums {
			m.d.sums[bucket].Add(m.sums[bucket])
		}
	}
}

func appendSum(dst []byte, s delta.Sum) []byte {
	dst = append(dst, digestVersion)
	for _, lane := range s {
		dst = binary.BigEndian.AppendUint64(dst, lane)
	}
	return dst
}

// Fingerprint returns what this device knows of a scope, and the sums of its rows at the same moment. The first time it
// goes through the rows of the scope.
func (db *DB) Fingerprint(ctx context.Context, s id.Scope, counting delta.Counting) (delta.Fingerprint, error) {
	for {
		d, f, rows, err := db.fingerprint(s, counting)
		switch {
		case err != nil:
			return delta.Fingerprint{}, err
		case rows != nil:
			return f, errors.Join(rows.countLive(ctx, &f), rows.snap.Close())
		case d == nil:
			return f, nil
		}
		if err := db.complete(ctx, d); err != nil {
			return delta.Fingerprint{}, err
		}
	}
}

// fingerprint returns a digest if that has to be completed first, and the rows at that moment if what counts for nothing has to be
// taken out of the sums.
func (db *DB) fingerprint(s id.Scope, counting delta.Counting) (*digest, delta.Fingerprint, *contestedRows, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, delta.Fingerprint{}, nil, err
	}
	f := delta.Fingerprint{Scope: s, Vector: db.know.At(s), Counting: counting}
	coll := db.colls[s.Collection]
	if coll == nil {
		return nil, f, nil, nil
	}
	d := coll.digest(s)
	if !d.complete {
		return d, f, nil, nil
	}
	for i := range d.sums {
		f.Sums[i] = d.sums[i].Short()
	}
	if counting == delta.CountLive {
		return nil, f, &contestedRows{snap: db.s.kv.Snapshot(), db: db.num, coll: coll.num, reach: coll.burial.reach}, nil
	}
	return nil, f, nil, nil
}

// complete goes through the rows of the scope, unless somebody else does: then it waits.
func (db *DB) complete(ctx context.Context, d *digest) error {
	db.mu.Lock()
	if d.complete || !slices.Contains(d.coll.digests, d) {
		db.mu.Unlock()
		return nil
	}
	if other := d.building; other != nil {
		db.mu.Unlock()
		select {
		case <-other:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	defer close(done)
	d.building, d.sums = done, [delta.Buckets]delta.Sum{}
	// From here on commits change the sums; what was there before is in the snapshot.
	snap, coll := db.s.kv.Snapshot(), d.coll.present()
	db.mu.Unlock()
	var sums [delta.Buckets]delta.Sum
	err := visitVersions(ctx, snap, db.num, coll, d.scope, func(v delta.RowVersion) error {
		sums[delta.Bucket(v.Key)].Add(v.Sum())
		return nil
	})
	err = errors.Join(err, snap.Close())
	db.mu.Lock()
	defer db.mu.Unlock()
	d.building = nil
	if err = errors.Join(err, db.alive()); err != nil {
		return err
	}
	if !slices.Contains(d.coll.digests, d) {
		return nil // the collection was destroyed meanwhile: whoever asked asks again
	}
	b := db.s.kv.NewBatch()
	for i := range sums {
		sums[i].Add(d.sums[i])
		b.Set(digestKey(db.num, d, byte(i)), appendSum(nil, sums[i]))
	}
	b.Set(digestKey(db.num, d, digestComplete), []byte{digestVersion})
	if err := b.Commit(kv.NoSync); err != nil {
		return writeError(err)
	}
	d.sums, d.complete = sums, true
	return nil
}

// visitVersions visits the versions of the rows of a scope, rows that are deleted after all others. Versions that were destroyed with
// the collection and are not swept yet are left out, or count as deletes where they are in conflict.
func visitVersions(ctx context.Context, from kv.Reader, db uint32, coll present, s id.Scope, visit func(delta.RowVersion) error) error {
	num := coll.num
	for _, space := range []byte{spaceRow, spaceTomb} {
		ranges := [][2][]byte{{rowKey(space, db, num, s.Prefix), kv.PrefixEnd(rowKey(space, db, num, s.Prefix))}}
		if own := collKey(space, db, num); s.Prefix != "" {
			ranges = append(ranges, [2][]byte{own, append(own[:len(own):len(own)], 0)})
		}
		for _, r := range ranges {
			if err := visitRange(ctx, from, db, coll, r[0], r[1], visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func visitRange(ctx context.Context, from kv.Reader, db uint32, coll present, lo, hi []byte, visit func(delta.RowVersion) error) error {
	it, err := from.Iter(lo, hi)
	if err != nil {
		return err
	}
	var heads []history.Head
	for ok, n := it.First(), 0; ok && err == nil; ok, n = it.Next(), n+1 {
		if n%1024 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		key := string(it.Key()[collKeyLen:])
		if heads, err = appendHeads(heads[:0], from, db, coll.num, key, it.Value()); err != nil {
			break
		}
		for i := 0; i < len(heads) && err == nil; i++ {
			v := versionOf(key, heads, i)
			buried := key != "" && coll.hidden.Covers(v.Version)
			if v.Deleted = v.Deleted || buried; v.Contested || !buried {
				err = visit(v)
			}
		}
	}
	return errors.Join(err, it.Close())
}

// Versions visits the versions of the rows of a scope that are in one of the buckets, as they are at one moment.
func (db *DB) Versions(ctx context.Context, s id.Scope, buckets uint64, visit func(delta.RowVersion) error) error {
	db.mu.Lock()
	err := db.alive()
	var coll present
	if known := db.colls[s.Collection]; known != nil {
		coll = known.present()
	}
	snap := db.s.kv.Snapshot()
	db.mu.Unlock()
	if err == nil && coll.num != 0 {
		err = visitVersions(ctx, snap, db.num, coll, s, func(v delta.RowVersion) error {
			if buckets&(1<<delta.Bucket(v.Key)) == 0 {
				return nil
			}
			return visit(v)
		})
	}
	return errors.Join(err, snap.Close())
}
