package rows

import (
	"bytes"
	"encoding/binary"
)

// reclaimed reads what is kept of what was reclaimed.
func (d *checkedDB) reclaimed() error {
	prefix := dbKey(spaceReclaim, d.rec.num)
	return d.prefix(prefix, func(key, value []byte) {
		var err error
		coll := uint32(0)
		switch rest := key[len(prefix):]; {
		case len(rest) == 1 && rest[0] == reclaimFloor:
			d.floor, err = decodeFloor(bytes.Clone(value))
		case len(rest) == 5 && rest[0] == reclaimDropped:
			coll = binary.BigEndian.Uint32(rest[1:])
			d.dropped[coll] = true
			_, err = decodeDrops(bytes.Clone(value))
		case len(rest) > 1 && rest[0] == reclaimWaiting:
			l, valid := parseWaiting(key)
			if coll = l.coll; !valid {
				err = corrupt("tombstone that waits", nil)
			}
		default:
			err = corrupt("key", nil)
		}
		if err != nil {
			d.mendable(d.name, unreclaimed(key), RuleEncoding, key, "what was reclaimed: %v", err)
		} else if coll != 0 && d.colls[coll] == nil {
			d.mendable(d.name, unreclaimed(key), RuleOwner, key, "there is no collection with the number %d", coll)
		}
	})
}
