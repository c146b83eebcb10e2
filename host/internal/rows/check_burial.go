package rows

import (
	"errors"
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// unburied holds what is known of destroyed collections against the records that destroyed them, which are never reclaimed.
func (d *checkedDB) unburied() error {
	for _, num := range slices.Sorted(maps.Keys(d.colls)) {
		coll := d.colls[num]
		if coll.id.Kind != id.Rows || kv.Partial(d.from) {
			continue
		}
		reach := coll.burial.reach.Clone()
		err := d.prefix(collKey(spaceLog, d.rec.num, num), func(key, value []byte) {
			if len(key) != logKeyLen {
				return
			}
			v := id.Version{Writer: wire.DecodeWriter(key[collKeyLen:]), Gen: logGen(key)}
			_, body, err := decodeLog(value)
			if err != nil {
				return
			}
			rec, err := wire.DecodeBody(body, v)
			if err != nil || !ends(coll.id, &rec) {
				return
			}
			if reach == nil {
				reach = id.Vector{}
			}
			reach.Merge(rec.Seen)
			reach.Add(v)
		})
		if err != nil {
			return errors.Join(err, d.ctx.Err())
		}
		if !coll.burial.reach.Dominates(reach) {
			key := collKey(spaceBurial, d.rec.num, num)
			coll.burial = burial{reach: reach}
			d.mendable(d.name, setKey(key, coll.burial.encode(), "take note again of what was destroyed"), RuleLog, key,
				"collection %s was destroyed, and that is not known of all its rows", coll.id)
		}
	}
	return nil
}
