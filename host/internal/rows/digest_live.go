package rows

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// contestedRows are the rows in conflict of a collection at one moment.
type contestedRows struct {
	snap     *kv.Snapshot
	db, coll uint32
	reach    id.Vector
}

// countLive takes out of sums what peers that count like that leave out: the deletes of rows in conflict.
func (r *contestedRows) countLive(ctx context.Context, f *delta.Fingerprint) error {
	return r.visit(ctx, func(key string, heads []history.Head) {
		if !f.Scope.Has(f.Scope.Collection, key) {
			return
		}
		for i := range heads {
			if v := versionOf(key, heads, i); v.Deleted || key != "" && r.reach.Covers(v.Version) {
				sum := v.Sum()
				f.Sums[delta.Bucket(key)] -= sum.Short()
			}
		}
	})
}

// visit visits the rows with all their heads.
func (r *contestedRows) visit(ctx context.Context, see func(key string, heads []history.Head)) error {
	prefix := collKey(spaceOpen, r.db, r.coll)
	it, err := r.snap.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	var heads []history.Head
	for ok, n := it.First(), 0; ok && err == nil; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		_, key, _, valid := parseOpenKey(it.Key())
		if !valid {
			err = corrupt("open head", nil)
			break
		}
		past := kv.PrefixEnd(openPrefix(r.db, r.coll, key))
		var shown []byte
		if shown, err = storedRow(r.snap, r.db, r.coll, key); err != nil {
			break
		}
		if heads, err = appendHeads(heads[:0], r.snap, r.db, r.coll, key, shown); err == nil {
			see(key, heads)
		}
		ok = it.SeekGE(past)
	}
	return errors.Join(err, it.Close())
}

// storedRow returns the stored row, or the tombstone in its place.
func storedRow(from kv.Reader, db, coll uint32, key string) ([]byte, error) {
	data, err := from.Get(rowKey(spaceRow, db, coll, key))
	if errors.Is(err, kv.ErrNotFound) {
		data, err = from.Get(rowKey(spaceTomb, db, coll, key))
	}
	return data, err
}

// appendHeads appends the heads of a stored row, the one that readers see first. They alias data.
func appendHeads(dst []history.Head, from kv.Reader, db, coll uint32, key string, data []byte) ([]history.Head, error) {
	h, err := decodeHead(data)
	if err != nil {
		return dst, fmt.Errorf("row %q: %w", key, err)
	}
	dst = append(dst, h)
	if contested(data) {
		err = openHeads(from, db, coll, key, func(h history.Head, _ []byte) { dst = append(dst, h) })
	}
	return dst, err
}
