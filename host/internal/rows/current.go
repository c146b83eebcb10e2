package rows

import (
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// minReplay is how many bytes of history are replayed to a newcomer rather than looked at each row.
const minReplay = 1 << 20

// onlyCurrent decides whether superseded records of a collection are left out of what a plan's initiator is sent. One that
// lacks deletes whose tombstones are gone must not get what they deleted; and history is not replayed to a newcomer, as far
// as there is enough of it to be worth looking at each row.
func (db *DB) onlyCurrent(c id.Collection, plan *delta.Plan) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	coll := db.colls[c]
	if coll == nil {
		return false
	}
	behind, newcomer := plan.Behind(c, coll.dropped)
	if behind || !newcomer {
		return behind
	}
	history := db.past - db.behind - min(db.past-db.behind, (db.seq-db.floor.Load())*commitOverhead)
	return history > max(minReplay, db.used/4)
}

// isCurrent reports whether a version is a head of its row or a link on top of one.
func (db *DB) isCurrent(coll uint32, key string, v id.Version) (bool, error) {
	for _, space := range []byte{spaceRow, spaceTomb} {
		data, err := db.s.kv.Get(rowKey(space, db.num, coll, key))
		if errors.Is(err, kv.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if contested(data) {
			return true, nil // there is more than one head, and little to gain
		}
		head, err := decodeHead(data)
		return err == nil && (head.Version == v || slices.Contains(head.Tips, v)), err
	}
	return false, nil
}
