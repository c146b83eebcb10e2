package rows

import (
	"bytes"
	"encoding/binary"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// The spaces of this room, drawn in docs/format.md.
const (
	spaceNode       = 0x01
	spaceDatabase   = 0x10
	spaceCollection = 0x11
	spaceRow        = 0x12
	spaceTomb       = 0x13
	spaceLog        = 0x14
	spaceSeq        = 0x15
	spaceKnowledge  = 0x16
	spaceSchema     = 0x17
	spaceSyncgroup  = 0x18
	spaceOpen       = 0x19
	spaceReclaim    = 0x1a
	spaceBurial     = 0x1b
	spaceDigest     = 0x1d
	spaceLetter     = 0x1e
)

// spacesOfDatabase are those whose keys begin with a database number.
var spacesOfDatabase = []byte{
	spaceCollection, spaceRow, spaceTomb, spaceLog, spaceSeq, spaceKnowledge, spaceSchema, spaceSyncgroup,
	spaceOpen, spaceReclaim, spaceBurial, spaceDigest, spaceLetter,
}

var (
	keyWriter = []byte{spaceNode, 'w', 'r', 'i', 't', 'e', 'r'}
	// keyService holds the access list of the store as a whole.
	keyService = []byte{spaceNode, 's', 'e', 'r', 'v', 'i', 'c', 'e'}
	keyNextDB  = []byte{spaceNode, 'n', 'e', 'x', 't', '-', 'd', 'b'}
)

func appendName(key []byte, n id.Name) []byte {
	key = append(key, n.Owner...)
	key = append(key, 0)
	key = append(key, n.Local...)
	return append(key, 0)
}

// parseName reads what appendName wrote.
func parseName(key []byte) (n id.Name, ok bool) {
	owner, rest, found := bytes.Cut(key, []byte{0})
	local, rest, found2 := bytes.Cut(rest, []byte{0})
	return id.Name{Owner: id.Principal(owner), Local: string(local)}, found && found2 && len(rest) == 0
}

func databaseKey(n id.Name) []byte { return appendName([]byte{spaceDatabase}, n) }

func dbKey(space byte, db uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{space}, db)
}

func collKey(space byte, db, coll uint32) []byte {
	return appendCollKey(make([]byte, 0, 64), space, db, coll)
}

func appendCollKey(dst []byte, space byte, db, coll uint32) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, space), db)
	return binary.BigEndian.AppendUint32(dst, coll)
}

// collKeyLen is the length of what collKey returns.
const collKeyLen = 9

func rowKey(space byte, db, coll uint32, key string) []byte {
	return append(collKey(space, db, coll), key...)
}

func appendRowKey(dst []byte, space byte, db, coll uint32, key string) []byte {
	return append(appendCollKey(dst, space, db, coll), key...)
}

func logKey(db, coll uint32, v id.Version) []byte {
	return appendLogKey(make([]byte, 0, logKeyLen), db, coll, v)
}

// logKeyLen is the length of what logKey returns.
const logKeyLen = collKeyLen + wire.WriterLen + 8

func appendLogKey(dst []byte, db, coll uint32, v id.Version) []byte {
	dst = wire.AppendWriter(appendCollKey(dst, spaceLog, db, coll), v.Writer)
	return binary.BigEndian.AppendUint64(dst, v.Gen)
}

// openSuffixLen is the length of what follows the row's key in the key of an open head.
const openSuffixLen = 1 + wire.WriterLen + 8

// openPrefix is the beginning of the keys of a row's open heads. No row key contains the byte 0, so no other row's keys
// begin like it.
func openPrefix(db, coll uint32, key string) []byte {
	return append(rowKey(spaceOpen, db, coll, key), 0)
}

func openKey(db, coll uint32, key string, v id.Version) []byte {
	return binary.BigEndian.AppendUint64(wire.AppendWriter(openPrefix(db, coll, key), v.Writer), v.Gen)
}

// parseOpenKey reads what openKey wrote. What is read back is what was written: a row's key has no byte 0, so a key that is too long
// is not taken for one of another row, where its last bytes look like a version.
func parseOpenKey(data []byte) (coll uint32, key string, v id.Version, ok bool) {
	at := len(data) - openSuffixLen
	if at < collKeyLen || bytes.IndexByte(data[collKeyLen:], 0) != at-collKeyLen {
		return 0, "", v, false
	}
	v.Writer = wire.DecodeWriter(data[at+1:])
	v.Gen = binary.BigEndian.Uint64(data[len(data)-8:])
	return binary.BigEndian.Uint32(data[5:]), string(data[collKeyLen:at]), v, true
}

// logGen returns the generation at the end of a log key.
func logGen(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

func seqKey(db uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(dbKey(spaceSeq, db), seq)
}

// seqOf reads what seqKey wrote.
func seqOf(key []byte) (uint64, error) {
	if len(key) != 5+8 {
		return 0, corrupt("commit sequence", nil)
	}
	return binary.BigEndian.Uint64(key[5:]), nil
}
