package rows

import (
	"encoding/binary"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// litter is a log record that a transaction left behind: superseded, or the delete that its row's tombstone stands for.
// Whoever reclaims finds in the sequence of commits what may go and never has to look for it.
type litter struct {
	coll    uint32
	version id.Version
	// tomb: the record is current, and goes only together with its tombstone.
	tomb bool
}

// trace is which log records of a row were of use before the transaction, and which ones the transaction added.
type trace struct {
	// before are the heads and the links on top of them; the first is apart, since mostly it is the only one.
	first id.Version
	more  []id.Version
	// last was logged last, extra before it.
	last  addition
	extra []addition
}

// addition is a log record that the transaction added, and its size.
type addition struct {
	version id.Version
	size    int
}

// remember notes what is of use before the transaction changes anything.
func (r *rowState) remember() {
	for i := range r.Heads {
		h := &r.Heads[i]
		if i == 0 {
			r.trace.first = h.Version
		} else {
			r.trace.more = append(r.trace.more, h.Version)
		}
		r.trace.more = append(r.trace.more, h.Tips...)
	}
}

// logged notes that a record of the row went into the log, and how many bytes it takes there.
func (r *rowState) logged(v id.Version, size int) {
	if !r.trace.last.version.IsZero() {
		r.trace.extra = append(r.trace.extra, r.trace.last)
	}
	r.trace.last = addition{v, size}
}

// uses reports whether the log record is a head of the row or a link on top of one.
func (r *rowState) uses(v id.Version) bool {
	for i := range r.Heads {
		if h := &r.Heads[i]; h.Version == v || slices.Contains(h.Tips, v) {
			return true
		}
	}
	return false
}

// recordOverhead is about what a log record takes beyond its row.
const recordOverhead = 48

// litter lists what the transaction left behind, and about how many bytes that is.
func (t *txn) litter() (list []litter, bytes uint64) {
	for _, row := range t.order {
		if row.key == "" && len(t.reach(row.coll)) > 0 {
			continue // whoever comes later has to learn that the collection was destroyed
		}
		add := func(v id.Version, size int) {
			if !v.IsZero() && !row.uses(v) {
				list = append(list, litter{coll: row.coll.num, version: v})
				bytes += uint64(size)
			}
		}
		add(row.trace.first, row.stored+recordOverhead)
		for _, v := range row.trace.more {
			add(v, len(row.key)+recordOverhead)
		}
		for _, l := range row.trace.extra {
			add(l.version, l.size)
		}
		add(row.trace.last.version, row.trace.last.size)
		if len(row.Heads) == 1 && row.Heads[0].Deleted && row.dirty {
			list = append(list, litter{coll: row.coll.num, version: row.Heads[0].Version, tomb: true})
			bytes += uint64(2 * (len(row.key) + recordOverhead))
		}
	}
	return list, bytes
}

// Bits of the flags of an entry of litter.
const (
	litterTomb  = 0x01
	litterOther = 0x02
)

// appendLitter encodes a list; entries of the writer w do not repeat it.
func appendLitter(dst []byte, w id.Writer, list []litter) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, l := range list {
		var flags byte
		if l.tomb {
			flags |= litterTomb
		}
		if l.version.Writer != w {
			flags |= litterOther
		}
		dst = append(dst, flags)
		dst = binary.AppendUvarint(dst, uint64(l.coll))
		if flags&litterOther != 0 {
			dst = wire.AppendWriter(dst, l.version.Writer)
		}
		dst = binary.AppendUvarint(dst, l.version.Gen)
	}
	return dst
}

// litter reads what appendLitter wrote.
func (c *cursor) litter(w id.Writer) []litter {
	n := c.uvarint()
	if c.bad || n > uint64(len(c.data)) {
		c.bad = true
		return nil
	}
	list := make([]litter, 0, n)
	for range n {
		flags, coll := c.byte(), c.uvarint()
		l := litter{coll: uint32(coll), tomb: flags&litterTomb != 0, version: id.Version{Writer: w}}
		if flags&litterOther != 0 {
			l.version.Writer = c.writer()
		}
		l.version.Gen = c.uvarint()
		if coll > 1<<32-1 || flags&^(litterTomb|litterOther) != 0 {
			c.bad = true
		}
		list = append(list, l)
	}
	return list
}

// commitOverhead is about what a commit takes in space 15.
const commitOverhead = 64
