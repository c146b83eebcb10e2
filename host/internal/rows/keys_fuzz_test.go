package rows

import (
	"bytes"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

// FuzzKeys reads any bytes as a key of each space whose keys have parts: they are refused, or made of just what was read.
func FuzzKeys(f *testing.F) {
	v := id.Version{Writer: aWriter, Gen: 5}
	f.Add(databaseKey(dbName))
	f.Add(openKey(1, 2, "k\x00e", v))
	f.Add(waitingKey(1, litter{coll: 2, version: v, tomb: true}))
	f.Add(seqKey(1, 9))
	f.Fuzz(func(t *testing.T, key []byte) {
		same := func(again []byte) {
			t.Helper()
			if !bytes.Equal(again, key) {
				t.Errorf("%x is read as what lies at %x", key, again)
			}
		}
		if len(key) > 0 && key[0] == spaceDatabase {
			if n, ok := parseName(key[1:]); ok {
				same(databaseKey(n))
			}
		}
		if len(key) < 5 {
			return
		}
		db := uint32(key[1])<<24 | uint32(key[2])<<16 | uint32(key[3])<<8 | uint32(key[4])
		switch key[0] {
		case spaceOpen:
			if coll, row, v, ok := parseOpenKey(key); ok {
				same(openKey(db, coll, row, v))
			}
		case spaceReclaim:
			if l, ok := parseWaiting(key); ok && key[5] == reclaimWaiting {
				same(waitingKey(db, l))
			}
		case spaceSeq:
			if seq, err := seqOf(key); err == nil {
				same(seqKey(db, seq))
			}
		}
	})
}
