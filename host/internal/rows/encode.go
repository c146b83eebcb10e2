package rows

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// valueVersion is the version byte of every value of this room.
const valueVersion = 1

// ErrCorrupt means that the store holds what this program never writes.
var ErrCorrupt = errors.New("store is corrupt")

func corrupt(what string, cause error) error {
	if cause == nil {
		return fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	return fmt.Errorf("%w: %s: %v", ErrCorrupt, what, cause)
}

// Version bytes of rows and tombstones beside valueVersion: of those whose other heads lie in space `19`, of those, and of open heads,
// that have links aside (history.Head.Aside), and of those with both.
const (
	contestedVersion      = 2
	asideVersion          = 3
	contestedAsideVersion = 4
)

// contested reports whether a stored row or tombstone has open heads beside the one that it holds.
func contested(data []byte) bool {
	return len(data) > 0 && (data[0] == contestedVersion || data[0] == contestedAsideVersion)
}

// contest marks a stored row or tombstone as one that has open heads beside it.
func contest(data []byte) { data[0] += contestedVersion - valueVersion }

// appendHead encodes a row or tombstone, or an open head.
func appendHead(dst []byte, h *history.Head) []byte {
	if len(h.Aside) > 0 {
		dst = append(dst, asideVersion)
	} else {
		dst = append(dst, valueVersion)
	}
	dst = wire.AppendWriter(dst, h.Version.Writer)
	dst = binary.AppendUvarint(dst, h.Version.Gen)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Time))
	if isPlain(h) {
		return append(append(dst, plainBody...), h.Value...)
	}
	if len(h.Aside) > 0 {
		dst = wire.AppendVersions(dst, h.Version, h.Aside)
	}
	dst = wire.AppendVersions(dst, h.Version, h.Tips)
	body := wire.Record{
		Version: h.Version, Raw: h.Raw, Seen: h.Seen, Beside: h.Beside, Type: h.Type, Value: h.Value,
		Parents: h.Resolves, Round: h.Round,
	}
	if h.Deleted {
		body.Kind = wire.Delete
	}
	return wire.AppendBody(dst, &body)
}

// decodeHead reads a row or tombstone, or an open head; the head aliases data.
func decodeHead(data []byte) (history.Head, error) {
	c := cursor{data: data}
	form := c.byte()
	if form < valueVersion || form > contestedAsideVersion {
		c.bad = true
	}
	v := id.Version{Writer: c.writer(), Gen: c.uvarint()}
	t := hlc.Time(c.uint64())
	if c.bad {
		return history.Head{}, corrupt("row", nil)
	}
	rest := c.data
	var aside []id.Version
	var err error
	if form >= asideVersion {
		if aside, rest, err = wire.DecodeVersions(rest, v); err != nil {
			return history.Head{}, corrupt("row", err)
		}
	}
	tips, rest, err := wire.DecodeVersions(rest, v)
	if err != nil {
		return history.Head{}, corrupt("row", err)
	}
	r, err := wire.DecodeBody(rest, v)
	if err != nil {
		return history.Head{}, corrupt("row", err)
	}
	return history.Head{
		Version: v, Time: t, Deleted: r.Kind == wire.Delete, Raw: r.Raw,
		Type: r.Type, Value: r.Value, Seen: r.Seen, Beside: r.Beside, Resolves: r.Parents, Round: r.Round, Tips: tips, Aside: aside,
	}, nil
}

// plainBody is the beginning of the body of a plain row: flags 0 (a put of JSON without type and history), an empty key, no
// parents; the links before it are none either.
const plainBody = "\x00\x00\x00\x00"

// isPlain reports whether a row has nothing but a JSON value.
func isPlain(h *history.Head) bool {
	return !h.Deleted && !h.Raw && h.Type == "" && len(h.Tips) == 0 && len(h.Seen) == 0 && len(h.Beside) == 0 &&
		len(h.Resolves) == 0 && h.Round == 0 && len(h.Aside) == 0
}

// decodePlain reads a row that has nothing but a JSON value, which is what almost all rows of a scan are. It reports false,
// and leaves c as it is, for every other and for what it cannot read.
func (c *Content) decodePlain(data []byte) bool {
	const fixed = 1 + wire.WriterLen
	if len(data) < fixed+1 || data[0] != valueVersion {
		return false
	}
	gen, n := binary.Uvarint(data[fixed:])
	rest := data[fixed:]
	if n <= 0 || len(rest) < n+8+len(plainBody) || string(rest[n+8:n+8+len(plainBody)]) != plainBody {
		return false
	}
	// Field by field: building the whole and copying it costs a fifth of a scan.
	c.Value = rest[n+8+len(plainBody):]
	c.Raw, c.Type = false, ""
	c.Version.Writer, c.Version.Gen = wire.DecodeWriter(data[1:]), gen
	c.Time = hlc.Time(binary.BigEndian.Uint64(rest[n:]))
	return true
}

// logHeader is what a log record says beside its body.
type logHeader struct {
	seq, index, count uint64
	time              hlc.Time
}

func appendLog(dst []byte, h logHeader, body []byte) []byte {
	dst = append(dst, valueVersion)
	dst = binary.AppendUvarint(dst, h.seq)
	dst = binary.AppendUvarint(dst, h.index)
	dst = binary.AppendUvarint(dst, h.count)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.time))
	return append(dst, body...)
}

// decodeLog splits a log value; the body aliases data.
func decodeLog(data []byte) (h logHeader, body []byte, err error) {
	c := cursor{data: data}
	c.version()
	h = logHeader{seq: c.uvarint(), index: c.uvarint(), count: c.uvarint(), time: hlc.Time(c.uint64())}
	if c.bad {
		return h, nil, corrupt("log record", nil)
	}
	return h, c.data, nil
}

// learned is one commit as space `15` lists it.
type learned struct {
	fromSync bool
	writer   id.Writer
	first    uint64
	count    uint64
	time     hlc.Time
	changes  []change
}

// change is a visible change: the log record that became current or, if the row is gone without a record, its key.
type change struct {
	coll    uint32
	version id.Version
	// buried: readers saw the row go, since the version was destroyed with its collection before it became current.
	buried bool
	// gone: the row with this key left without a record that is known; see DB.Rebase.
	gone bool
	key  string
}

// Tags of a change: where its version stands, and what became of it.
const (
	changeOther  = 1
	changeBuried = 2
	changeGone   = 4
)

// seqHead is what a value of space `15` says of the database as it is after its commits.
type seqHead struct {
	// ownGen is the newest generation that this device has made.
	ownGen uint64
	// used is the sum of what DB.Used counts.
	used uint64
	// past is about how many bytes of history there have ever been, reclaimed or not; see DB.Reclaim.
	past uint64
}

// seqVersion is the version byte of values of space `15`. Those of version 1 have neither seqHead.past nor litter.
const seqVersion = 2

// appendSeq encodes a run of commits and what they left behind.
func appendSeq(dst []byte, h seqHead, commits []learned, left []litter) []byte {
	dst = append(dst, seqVersion)
	dst = binary.AppendUvarint(dst, h.ownGen)
	dst = binary.AppendUvarint(dst, h.used)
	dst = binary.AppendUvarint(dst, h.past)
	dst = binary.AppendUvarint(dst, uint64(len(commits)))
	for i := range commits {
		dst = commits[i].append(dst)
	}
	return appendLitter(dst, firstWriter(commits), left)
}

func firstWriter(commits []learned) id.Writer {
	if len(commits) == 0 {
		return id.Writer{}
	}
	return commits[0].writer
}

func (l *learned) append(dst []byte) []byte {
	var flags byte
	if l.fromSync {
		flags = 1
	}
	dst = append(dst, flags)
	dst = wire.AppendWriter(dst, l.writer)
	dst = binary.AppendUvarint(dst, l.first)
	dst = binary.AppendUvarint(dst, l.count)
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.time))
	dst = binary.AppendUvarint(dst, uint64(len(l.changes)))
	for _, ch := range l.changes {
		dst = binary.AppendUvarint(dst, uint64(ch.coll))
		if ch.gone {
			dst = append(dst, changeGone)
			dst = binary.AppendUvarint(dst, uint64(len(ch.key)))
			dst = append(dst, ch.key...)
			continue
		}
		var tag byte
		if ch.buried {
			tag = changeBuried
		}
		if v := ch.version; v.Writer == l.writer && v.Gen >= l.first && v.Gen < l.first+l.count {
			dst = append(dst, tag)
			dst = binary.AppendUvarint(dst, v.Gen-l.first)
			continue
		}
		dst = append(dst, tag|changeOther)
		dst = wire.AppendWriter(dst, ch.version.Writer)
		dst = binary.AppendUvarint(dst, ch.version.Gen)
	}
	return dst
}

// decodeSeq reads what appendSeq wrote.
func decodeSeq(data []byte) (h seqHead, commits []learned, left []litter, err error) {
	c := cursor{data: data}
	h, version := c.seqHead()
	n := c.uvarint()
	if c.bad || n > uint64(len(c.data)) {
		return h, nil, nil, corrupt("commit sequence", nil)
	}
	commits = make([]learned, 0, n)
	for range n {
		l := learned{fromSync: c.byte()&1 != 0, writer: c.writer(), first: c.uvarint(), count: c.uvarint(), time: hlc.Time(c.uint64())}
		m := c.uvarint()
		if c.bad || m > uint64(len(c.data)) {
			return h, nil, nil, corrupt("commit sequence", nil)
		}
		l.changes = make([]change, 0, m)
		for range m {
			l.changes = append(l.changes, c.change(&l))
		}
		commits = append(commits, l)
	}
	if version > 1 {
		left = c.litter(firstWriter(commits))
	}
	if c.bad || len(c.data) != 0 {
		return h, nil, nil, corrupt("commit sequence", nil)
	}
	return h, commits, left, nil
}

func (c *cursor) seqHead() (h seqHead, version byte) {
	version = c.byte()
	if version == 0 || version > seqVersion {
		c.bad = true
	}
	h = seqHead{ownGen: c.uvarint(), used: c.uvarint()}
	if version > 1 {
		h.past = c.uvarint()
	}
	return h, version
}

// seqHeader reads only the head and the number of commits.
func seqHeader(data []byte) (h seqHead, count uint64, err error) {
	c := cursor{data: data}
	h, _ = c.seqHead()
	count = c.uvarint()
	if c.bad || count == 0 {
		return h, 0, corrupt("commit sequence", nil)
	}
	return h, count, nil
}

// cursor reads the primitives of values that this room wrote itself.
type cursor struct {
	data []byte
	bad  bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n > len(c.data) {
		c.bad = true
		return nil
	}
	head := c.data[:n]
	c.data = c.data[n:]
	return head
}

func (c *cursor) version() {
	if c.byte() != valueVersion {
		c.bad = true
	}
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.data)
	if c.bad || n <= 0 {
		c.bad = true
		return 0
	}
	c.data = c.data[n:]
	return v
}

func (c *cursor) uint64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) writer() id.Writer {
	if b := c.take(wire.WriterLen); b != nil {
		return wire.DecodeWriter(b)
	}
	return id.Writer{}
}

func (c *cursor) string() string {
	n := c.uvarint()
	if n > uint64(len(c.data)) {
		c.bad = true
		return ""
	}
	return string(c.take(int(n)))
}

func (c *cursor) change(l *learned) change {
	coll := c.uvarint()
	if coll > 1<<32-1 {
		c.bad = true
	}
	tag := c.byte()
	ch := change{coll: uint32(coll), buried: tag&changeBuried != 0}
	switch tag &^ changeBuried {
	case 0:
		ch.version = id.Version{Writer: l.writer, Gen: l.first + c.uvarint()}
	case changeOther:
		ch.version = id.Version{Writer: c.writer(), Gen: c.uvarint()}
	case changeGone:
		ch.gone, ch.key = true, c.string()
	default:
		c.bad = true
	}
	return ch
}
