package rows

import (
	"encoding/binary"
	"time"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Kinds of keys in the space of letters: what is said of a commit that was set aside, and the commit.
const (
	letterHead   = 0
	letterCommit = 1
)

// letterKeyLen is the length of what letterKey returns.
const letterKeyLen = 5 + 1 + 8

func letterKey(db uint32, kind byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dbKey(spaceLetter, db), kind), number)
}

func appendText[T ~string](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// append encodes what is said of the commit; the ID stands in the key.
func (l *Letter) append(dst []byte) []byte {
	dst = append(dst, valueVersion)
	dst = wire.AppendWriter(dst, l.Writer)
	for _, n := range []uint64{l.First, l.Count, l.Least, l.Last, uint64(l.Records), uint64(l.Bytes), l.seq, uint64(l.Tries)} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, t := range []uint64{uint64(l.Time), uint64(l.Since.UnixMicro()), uint64(l.Tried.UnixMicro())} {
		dst = binary.BigEndian.AppendUint64(dst, t)
	}
	dst = appendText(dst, l.Code)
	dst = appendText(dst, l.Reason)
	dst = appendText(dst, l.From)
	dst = binary.AppendUvarint(dst, uint64(len(l.Collections)))
	for _, c := range l.Collections {
		dst = append(dst, byte(c.Kind))
		dst = appendText(dst, c.Name.Owner)
		dst = appendText(dst, c.Name.Local)
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.Keys)))
	for _, key := range l.Keys {
		dst = appendText(dst, key)
	}
	return dst
}

// decodeLetter reads what append wrote.
func decodeLetter(key, data []byte) (*Letter, error) {
	c := cursor{data: data}
	c.version()
	l := &Letter{Writer: c.writer()}
	for _, to := range []*uint64{&l.First, &l.Count, &l.Least, &l.Last} {
		*to = c.uvarint()
	}
	records, size := c.uvarint(), c.uvarint()
	l.seq = c.uvarint()
	tries := c.uvarint()
	l.Time = hlc.Time(c.uint64())
	l.Since, l.Tried = time.UnixMicro(int64(c.uint64())), time.UnixMicro(int64(c.uint64()))
	l.Code, l.Reason, l.From = RefusalCode(c.string()), c.string(), id.Principal(c.string())
	n := c.uvarint()
	for ; n > 0 && !c.bad; n-- {
		kind := id.CollectionKind(c.byte())
		l.Collections = append(l.Collections, id.Collection{Kind: kind, Name: id.Name{Owner: id.Principal(c.string()), Local: c.string()}})
	}
	for n = c.uvarint(); n > 0 && !c.bad; n-- {
		l.Keys = append(l.Keys, c.string())
	}
	bounded := records > 0 && records <= wire.MaxCommitRecords && size <= wire.MaxCommitLen && tries < 1<<31
	if c.bad || len(c.data) > 0 || len(key) != letterKeyLen || !bounded || l.Least < l.First || l.Last < l.Least {
		return nil, corrupt("letter", nil)
	}
	l.ID = binary.BigEndian.Uint64(key[letterKeyLen-8:])
	l.Records, l.Bytes, l.Tries = int(records), int(size), int(tries)
	return l, nil
}
