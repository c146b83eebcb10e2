package rows

import (
	"bytes"
	"encoding/binary"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// RuleLetter: what was set aside is there, and is what is said of it.
const RuleLetter Rule = "letter"

// letters checks the commits that were refused and set aside.
func (d *checkedDB) letters() error {
	prefix := dbKey(spaceLetter, d.rec.num)
	return d.prefix(prefix, func(key, value []byte) {
		if len(key) != letterKeyLen || key[5] > letterCommit {
			d.mendable(d.name, dropKey(key), RuleEncoding, key, "key of a letter")
			return
		}
		other := bytes.Clone(key)
		other[5] = letterHead + letterCommit - key[5]
		rest, err := d.from.Get(other)
		if err != nil {
			d.mendable(d.name, loseLetter(key), RuleLetter, key, "half of a letter: %v", err)
			return
		}
		if key[5] == letterCommit {
			return // checked with the other half
		}
		l, err := decodeLetter(key, bytes.Clone(value))
		if err != nil {
			d.mendable(d.name, loseLetter(key), RuleEncoding, key, "letter: %v", err)
			return
		}
		c, err := wire.DecodeCommit(rest)
		if err != nil || c.Writer != l.Writer || len(rest) != l.Bytes || len(c.Records) != l.Records {
			d.mendable(d.name, loseLetter(key), RuleLetter, key, "the letter is not of the commit that is set aside: %v", err)
		}
	})
}

// loseLetter gives up a letter and, since it counted as held, what is known of the database: peers send again what is lacking.
func loseLetter(key []byte) mend {
	db, number := binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint64(key[letterKeyLen-8:])
	return mend{what: "forget it and what is known of others; peers send again what they have", apply: func(_ *repairer, b *kv.Batch) error {
		b.Delete(letterKey(db, letterHead, number))
		b.Delete(letterKey(db, letterCommit, number))
		known := dbKey(spaceKnowledge, db)
		b.DeleteRange(known, kv.PrefixEnd(known))
		return nil
	}}
}
