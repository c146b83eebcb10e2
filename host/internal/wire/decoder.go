package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Least encoded lengths of things that come in lists.
const (
	minVersionLen    = 2
	minEntryLen      = WriterLen + 1
	minCollectionLen = 5
	minBodyLen       = 3
	minRecordLen     = 3 + minBodyLen
)

// decoder reads primitive values and keeps the first error; after it every read returns zero values.
type decoder struct {
	data []byte
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
	}
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.data) {
		d.fail("it ends early: %d bytes left, %d needed", len(d.data), n)
		return nil
	}
	head := d.data[:n:n]
	d.data = d.data[n:]
	return head
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// uvarint accepts the shortest form only, so that the encoding stays canonical.
func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.data)
	if n <= 0 || n > 1 && d.data[n-1] == 0 {
		d.fail("bad variable-length number")
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads the number of things that follow, each of which takes at least size bytes, so that what a caller
// allocates for them stays in proportion to what was received.
func (d *decoder) count(limit, size uint64) int {
	n := d.uvarint()
	if d.err == nil && (n > limit || n > uint64(len(d.data))/size) {
		d.fail("%d items announced, limit %d, %d bytes left", n, limit, len(d.data))
	}
	if d.err != nil {
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(limit uint64) []byte {
	n := d.uvarint()
	if d.err == nil && n > limit {
		d.fail("%d bytes announced, the limit is %d", n, limit)
	}
	if d.err != nil || n > uint64(len(d.data)) {
		d.fail("it ends early: %d bytes left, %d needed", len(d.data), n)
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string(limit uint64) string { return string(d.bytes(limit)) }

func (d *decoder) rest() []byte { return d.take(len(d.data)) }

func (d *decoder) writer() id.Writer {
	if b := d.take(WriterLen); b != nil {
		return DecodeWriter(b)
	}
	return id.Writer{}
}

func (d *decoder) versions(base id.Version) []id.Version {
	n := d.count(MaxParents, minVersionLen)
	if n == 0 {
		return nil
	}
	list := make([]id.Version, 0, n)
	for range n {
		v := base
		switch d.byte() {
		case 0:
			delta := d.uvarint()
			if d.err == nil && (delta == 0 || delta >= base.Gen) {
				d.fail("generation %d before %s", delta, base)
			}
			v.Gen -= delta
		case 1:
			v = id.Version{Writer: d.writer(), Gen: d.uvarint()}
			if d.err == nil && (v.Gen == 0 || v.Writer.IsZero() || v.Writer == base.Writer && v.Gen < base.Gen) {
				d.fail("version %s is nobody's or not in its shortest form", v)
			}
		default:
			d.fail("unknown form of a version")
		}
		if d.err != nil {
			return nil
		}
		list = append(list, v)
	}
	return list
}

func (d *decoder) vector(limit uint64) id.Vector {
	n := d.count(limit, minEntryLen)
	if d.err != nil {
		return nil
	}
	v := make(id.Vector, n)
	var last id.Writer
	for i := range n {
		w, gen := d.writer(), d.uvarint()
		if d.err == nil && (gen == 0 || w.IsZero() || i > 0 && w.Compare(last) <= 0) {
			d.fail("vector out of order or with an empty entry")
		}
		if d.err != nil {
			return nil
		}
		v[w], last = gen, w
	}
	return v
}

// end reports the first error, or that something follows what was read.
func (d *decoder) end() error {
	if d.err == nil && len(d.data) > 0 {
		d.fail("%d bytes follow the end", len(d.data))
	}
	return d.err
}
