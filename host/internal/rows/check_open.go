package rows

import (
	"bytes"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/merge"
)

// contested checks a row, or tombstone, that says that it has open heads.
func (d *checkedDB) contested(key []byte, head *history.Head) {
	prefix := append(bytes.Clone(key), 0)
	prefix[0] = spaceOpen
	n := 0
	err := d.prefix(prefix, func(open, value []byte) {
		n++
		if h, err := decodeHead(value); err == nil && merge.Compare(&h, head) >= 0 {
			d.mendable(d.name, d.rebuild(key), RuleOpen, open, "readers do not see this version, which was written after %s", head.Version)
		}
	})
	if err == nil && n == 0 {
		d.mendable(d.name, d.rebuild(key), RuleOpen, key, "the row is in conflict with nothing")
	}
}

// openHeads checks the heads that readers do not see.
func (d *checkedDB) openHeads() error {
	return d.prefix(dbKey(spaceOpen, d.rec.num), func(key, value []byte) {
		d.used += uint64(len(key) + len(value))
		_, rowKey, v, valid := parseOpenKey(key)
		if !valid || rowKey == "" {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "key of an open head")
			return
		}
		if d.collection(key) == nil {
			return
		}
		row := bytes.Clone(key[:len(key)-openSuffixLen])
		if h, err := decodeHead(value); err != nil || h.Version != v {
			d.mendable(d.name, d.rebuild(row), RuleEncoding, key, "open head: %v", err)
		}
		for _, space := range []byte{spaceRow, spaceTomb} {
			row[0] = space
			if data, err := d.from.Get(row); err == nil && contested(data) {
				return
			}
		}
		d.mendable(d.name, d.rebuild(row), RuleOpen, key, "the row is not in conflict")
	})
}
