package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
)

// commitVersion is the version of the commit encoding. A change makes a new version, which is sent only to peers whose
// Hello names it as a feature; old versions stay readable.
const commitVersion = 1

// Commit is what one device committed together: it becomes visible together everywhere. A commit that travels may lack
// records whose collections the receiver does not share.
type Commit struct {
	Writer id.Writer
	// First generation; record i of the original commit has generation First+i.
	First uint64
	// Count of records in the original commit, 1 to MaxCommitRecords.
	Count uint64
	// Time of the commit at its writer.
	Time hlc.Time
	// Author is the hash of the author's certificate and Signature the author's signature over the canonical encoding.
	// Both are reserved: version 1 writes them empty and refuses anything else, so that nobody passes on a commit whose
	// signature got lost.
	Author, Signature []byte
	Records           []Entry
}

// Entry is a record of a commit with the collection it belongs to. Generations ascend within a commit.
type Entry struct {
	Collection id.Collection
	Record     Record
}

// Last generation of the original commit.
func (c *Commit) Last() uint64 { return c.First + c.Count - 1 }

// Append appends the encoding of the commit.
func (c *Commit) Append(dst []byte) []byte {
	var e CommitEncoder
	e.Begin(c.Writer, c.First, c.Count, c.Time)
	for i := range c.Records {
		r := &c.Records[i]
		e.Add(r.Collection, r.Record.Version.Gen, AppendBody(nil, &r.Record))
	}
	return e.Append(dst)
}

// CommitEncoder builds an encoded commit from bodies that are encoded already, as they lie in the log.
type CommitEncoder struct {
	head        []byte
	first       uint64
	collections []id.Collection
	// positions are where the collections stand; nil while there is at most one.
	positions map[id.Collection]int
	n         uint64
	records   []byte
}

// Begin starts a new commit; the encoder may be reused.
func (e *CommitEncoder) Begin(w id.Writer, first, count uint64, t hlc.Time) {
	e.head = append(e.head[:0], commitVersion)
	e.head = AppendWriter(e.head, w)
	e.head = binary.AppendUvarint(e.head, first)
	e.head = binary.AppendUvarint(e.head, count)
	e.head = binary.BigEndian.AppendUint64(e.head, uint64(t))
	e.head = append(e.head, 0, 0)
	e.first, e.n, e.records = first, 0, e.records[:0]
	e.collections, e.positions = e.collections[:0], nil
}

// Add adds a record; generations must ascend.
func (e *CommitEncoder) Add(c id.Collection, gen uint64, body []byte) {
	e.records = binary.AppendUvarint(e.records, gen-e.first)
	e.records = binary.AppendUvarint(e.records, uint64(e.index(c)))
	e.records = binary.AppendUvarint(e.records, uint64(len(body)))
	e.records = append(e.records, body...)
	e.n++
}

// index returns the position of c in the table of collections, adding it in order of first use.
func (e *CommitEncoder) index(c id.Collection) int {
	last := len(e.collections) - 1
	if last >= 0 && e.collections[last] == c {
		return last
	}
	if i, found := e.positions[c]; found {
		return i
	}
	if last >= 0 && e.positions == nil {
		e.positions = map[id.Collection]int{e.collections[0]: 0}
	}
	if last >= 0 {
		e.positions[c] = last + 1
	}
	e.collections = append(e.collections, c)
	return last + 1
}

// Append appends the finished encoding.
func (e *CommitEncoder) Append(dst []byte) []byte {
	dst = append(dst, e.head...)
	dst = binary.AppendUvarint(dst, uint64(len(e.collections)))
	for _, c := range e.collections {
		dst = append(dst, byte(c.Kind))
		dst = appendString(dst, string(c.Name.Owner))
		dst = appendString(dst, c.Name.Local)
	}
	dst = binary.AppendUvarint(dst, e.n)
	return append(dst, e.records...)
}

// DecodeCommit reads an encoded commit, which must fill data. The commit aliases data.
func DecodeCommit(data []byte) (Commit, error) {
	if len(data) > MaxCommitLen {
		return Commit{}, fmt.Errorf("%w: commit of %d bytes, the limit is %d", ErrMalformed, len(data), MaxCommitLen)
	}
	d := decoder{data: data}
	if v := d.byte(); d.err == nil && v != commitVersion {
		return Commit{}, fmt.Errorf("%w: commit version %d, this program knows %d", ErrMalformed, v, commitVersion)
	}
	c := Commit{Writer: d.writer(), First: d.uvarint(), Count: d.uvarint(), Time: hlc.Time(d.uint64())}
	d.bytes(0)
	d.bytes(0)
	if d.err == nil && (c.Writer.IsZero() || c.First == 0 || c.Count == 0 || c.Count > MaxCommitRecords || c.Last() < c.First) {
		return Commit{}, fmt.Errorf("%w: commit of %d records from generation %d of %s", ErrMalformed, c.Count, c.First, c.Writer)
	}
	collections := d.collections(c.Count)
	c.Records = d.records(&c, collections)
	if err := d.end(); err != nil {
		return Commit{}, err
	}
	return c, nil
}

func (d *decoder) collections(limit uint64) []id.Collection {
	n := d.count(limit, minCollectionLen)
	list := make([]id.Collection, 0, n)
	seen := make(map[id.Collection]bool, n)
	for range n {
		c := id.Collection{Kind: id.CollectionKind(d.byte())}
		c.Name.Owner = id.Principal(d.string(id.MaxPrincipalLen))
		c.Name.Local = d.string(id.MaxNameLen)
		if d.err != nil {
			return nil
		}
		if err := c.Validate(); err != nil {
			d.fail("%v", err)
			return nil
		}
		if seen[c] {
			d.fail("collection %s listed twice", c)
			return nil
		}
		seen[c] = true
		list = append(list, c)
	}
	return list
}

func (d *decoder) records(c *Commit, collections []id.Collection) []Entry {
	n := d.count(c.Count, minRecordLen)
	if d.err == nil && n == 0 {
		d.fail("commit without records")
	}
	list := make([]Entry, 0, n)
	used, next := 0, uint64(0)
	for range n {
		index, coll, body := d.uvarint(), d.uvarint(), d.bytes(MaxCommitLen)
		if d.err != nil {
			return nil
		}
		if index < next || index >= c.Count || coll > uint64(used) || coll >= uint64(len(collections)) {
			d.fail("record %d of %d in collection %d is out of order or out of range", index, c.Count, coll)
			return nil
		}
		used, next = max(used, int(coll)+1), index+1
		rec, err := DecodeBody(body, id.Version{Writer: c.Writer, Gen: c.First + index})
		if err != nil {
			d.err = err
			return nil
		}
		list = append(list, Entry{Collection: collections[coll], Record: rec})
	}
	if d.err == nil && used != len(collections) {
		d.fail("collection listed without a record")
	}
	return list
}
