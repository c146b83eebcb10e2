package rows

import (
	"encoding/binary"
	"errors"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// RuleDigest: the sums of a scope are those of its rows.
const RuleDigest Rule = "digest"

// digests compares the sums that are kept with the rows.
func (d *checkedDB) digests() error {
	if kv.Partial(d.from) {
		return nil // they would differ where rows cannot be read
	}
	type sums = [delta.Buckets]delta.Sum
	type where struct {
		num   uint32
		scope id.Scope
	}
	kept, complete := map[where]*sums{}, map[where]bool{}
	err := d.prefix(dbKey(spaceDigest, d.rec.num), func(key, value []byte) {
		coll := d.collection(key)
		if coll == nil {
			return
		}
		if len(key) > collKeyLen && len(value) > 0 && value[0] == digestVersion-1 {
			return // counts as absent
		}
		if len(key) < collKeyLen+1 || len(value) == 0 || value[0] != digestVersion {
			d.mendable(d.name, sumAnew(), RuleEncoding, key, "digest")
			return
		}
		at := where{binary.BigEndian.Uint32(key[5:]), id.Scope{Collection: coll.id, Prefix: string(key[collKeyLen : len(key)-1])}}
		if at.scope.Validate() != nil {
			d.mendable(d.name, sumAnew(), RuleEncoding, key, "digest of the prefix %q", at.scope.Prefix)
			return
		}
		if kept[at] == nil {
			kept[at] = &sums{}
		}
		bucket, sum := key[len(key)-1], value[1:]
		switch {
		case bucket == digestComplete:
			complete[at] = true
		case int(bucket) < delta.Buckets && len(sum) == 32:
			for i := range kept[at][bucket] {
				kept[at][bucket][i] = binary.BigEndian.Uint64(sum[8*i:])
			}
		default:
			d.mendable(d.name, sumAnew(), RuleEncoding, key, "bucket %d of a digest with %d bytes", bucket, len(sum))
		}
	})
	if err != nil {
		return err
	}
	for at := range complete {
		var real sums
		err := visitVersions(d.ctx, d.from, d.rec.num, d.colls[at.num].present(at.num), at.scope, func(v delta.RowVersion) error {
			real[delta.Bucket(v.Key)].Add(v.Sum())
			return nil
		})
		if errors.Is(err, ErrCorrupt) {
			continue // reported with the row
		}
		if err != nil {
			return err
		}
		if real != *kept[at] {
			key := rowKey(spaceDigest, d.rec.num, at.num, at.scope.Prefix)
			d.mendable(d.name, sumAnew(), RuleDigest, key, "the sums of scope %s are not those of its rows", at.scope)
		}
	}
	return nil
}

// sumAnew forgets the sums, which every round of a repair does.
func sumAnew() mend {
	return mend{what: "make the sums anew when they are asked for", apply: func(*repairer, *kv.Batch) error { return nil }}
}
