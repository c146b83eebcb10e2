// Package wire is the binary encoding of records and commits, the one form in which they lie in the log, travel between
// hosts and (with author signatures) are signed.
//
// The encoding is canonical: a value has exactly one encoding, and a decoder refuses every other. Decoders are fed bytes
// by peers: they bound every count and length before they allocate, and what they return aliases the input. The layout
// is drawn in docs/format.md. Read Record and Commit.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Kind tells what a record does to its row.
type Kind uint8

const (
	// Put gives the row a value.
	Put Kind = iota
	// Delete removes the row.
	Delete
	// Link makes an existing version, Parents[0], the winner over the others: it gains them as parents.
	Link
)

// Limits of what one record and one commit may hold.
const (
	MaxValueLen      = 4 << 20
	MaxCommitRecords = 100_000
	// MaxCommitLen bounds an encoded commit: 32 MiB of keys and values and what goes with them.
	MaxCommitLen = 40 << 20
	// MaxParents bounds the parents of one version: one for each head that it joins, with the links on top of it.
	MaxParents = 256
	// MaxRound bounds the rounds in which resolutions that are in conflict are resolved again.
	MaxRound = 255
	// MaxWriters bounds the writers that one row's history names.
	MaxWriters = 65_536
)

// ErrMalformed is wrapped by every decoding error.
var ErrMalformed = errors.New("malformed encoding")

// Record is one entry of the log: a version of one row, or a link between two.
type Record struct {
	Version id.Version
	Kind    Kind
	// Raw values are bytes; others are JSON.
	Raw bool
	// Key of the row; "" is the collection's own record, its access list.
	Key string
	// Parents are the versions, and links on top of them, that this one was made from.
	Parents []id.Version
	// Seen is what the history of this version covers beyond its own writer's earlier versions.
	Seen id.Vector
	// Beside are versions that the record does not cover although Seen, or the order of its own writer, would: they stayed
	// open in a conflict when it was made. Ascending.
	Beside []id.Version
	// Round is 0 unless the record is a resolution: what somebody made of all its parents, which were in conflict. It is one
	// more than the largest among them, at most MaxRound.
	Round uint64
	// Type name of the value, may be empty.
	Type  string
	Value []byte
}

// Bits of the first byte of a body.
const (
	bodyKind       = 0x03
	bodyRaw        = 0x04
	bodyType       = 0x08
	bodySeen       = 0x10
	bodyBeside     = 0x20
	bodyResolution = 0x40
	bodyKnown      = bodyKind | bodyRaw | bodyType | bodySeen | bodyBeside | bodyResolution
)

// AppendBody appends everything of the record but its version, which stands elsewhere in every use.
func AppendBody(dst []byte, r *Record) []byte {
	flags := byte(r.Kind)
	if r.Raw {
		flags |= bodyRaw
	}
	if r.Type != "" {
		flags |= bodyType
	}
	if len(r.Seen) > 0 {
		flags |= bodySeen
	}
	if len(r.Beside) > 0 {
		flags |= bodyBeside
	}
	if r.Round > 0 {
		flags |= bodyResolution
	}
	dst = append(dst, flags)
	dst = appendString(dst, r.Key)
	dst = AppendVersions(dst, r.Version, r.Parents)
	if flags&bodySeen != 0 {
		dst = AppendVector(dst, r.Seen)
	}
	if flags&bodyBeside != 0 {
		dst = AppendVersions(dst, r.Version, r.Beside)
	}
	if flags&bodyResolution != 0 {
		dst = binary.AppendUvarint(dst, r.Round)
	}
	if flags&bodyType != 0 {
		dst = appendString(dst, r.Type)
	}
	return append(dst, r.Value...)
}

// DecodeBody reads what AppendBody wrote. The record aliases data.
func DecodeBody(data []byte, version id.Version) (Record, error) {
	d := decoder{data: data}
	flags := d.byte()
	r := Record{Version: version, Kind: Kind(flags & bodyKind), Raw: flags&bodyRaw != 0}
	r.Key = d.string(id.MaxKeyLen)
	r.Parents = d.versions(version)
	if flags&bodySeen != 0 {
		r.Seen = d.vector(MaxWriters)
	}
	if flags&bodyBeside != 0 {
		r.Beside = d.versions(version)
	}
	if flags&bodyResolution != 0 {
		r.Round = d.uvarint()
	}
	if flags&bodyType != 0 {
		r.Type = d.string(id.MaxTypeLen)
	}
	r.Value = d.rest()
	if d.err != nil {
		return Record{}, d.err
	}
	if err := r.check(flags); err != nil {
		return Record{}, err
	}
	return r, nil
}

// check refuses encodings that AppendBody cannot have produced and records that mean nothing.
func (r *Record) check(flags byte) error {
	switch {
	case flags&^bodyKnown != 0 || r.Kind > Link:
		return fmt.Errorf("%w: record flags %#x", ErrMalformed, flags)
	case flags&bodySeen != 0 && len(r.Seen) == 0, flags&bodyType != 0 && r.Type == "",
		flags&bodyBeside != 0 && len(r.Beside) == 0, flags&bodyResolution != 0 && r.Round == 0:
		return fmt.Errorf("%w: empty optional field", ErrMalformed)
	case len(r.Value) > MaxValueLen:
		return fmt.Errorf("%w: value of %d bytes, the limit is %d", ErrMalformed, len(r.Value), MaxValueLen)
	case r.Kind != Put && (len(r.Value) > 0 || r.Type != "" || r.Raw):
		return fmt.Errorf("%w: a delete or link with a value", ErrMalformed)
	case r.Round > MaxRound:
		return fmt.Errorf("%w: a resolution of round %d, the limit is %d", ErrMalformed, r.Round, MaxRound)
	case r.Kind == Link && len(r.Parents) < 2, r.Round > 0 && len(r.Parents) < 2:
		return fmt.Errorf("%w: a link or resolution with %d parents, want at least 2", ErrMalformed, len(r.Parents))
	case r.Kind == Link && r.Round > 0:
		return fmt.Errorf("%w: a link that is a resolution", ErrMalformed)
	}
	for i, v := range r.Beside {
		if v == r.Version || i > 0 && v.Compare(r.Beside[i-1]) <= 0 {
			return fmt.Errorf("%w: versions beside %s are out of order", ErrMalformed, r.Version)
		}
	}
	if _, own := r.Seen[r.Version.Writer]; own {
		return fmt.Errorf("%w: a record that lists its own writer as seen", ErrMalformed)
	}
	for _, p := range r.Parents {
		if p.Writer == r.Version.Writer && p.Gen >= r.Version.Gen {
			return fmt.Errorf("%w: version %s has the later parent %s", ErrMalformed, r.Version, p)
		}
	}
	if r.Key != "" {
		if err := id.ValidateKey(r.Key); err != nil {
			return fmt.Errorf("%w: %v", ErrMalformed, err)
		}
	}
	if err := id.ValidateType(r.Type); err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	return nil
}

// AppendVersions appends a list of versions. Those of the writer of `base` are written as how many generations they lie
// before it.
func AppendVersions(dst []byte, base id.Version, versions []id.Version) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(versions)))
	for _, v := range versions {
		if v.Writer == base.Writer && v.Gen < base.Gen {
			dst = append(dst, 0)
			dst = binary.AppendUvarint(dst, base.Gen-v.Gen)
			continue
		}
		dst = append(dst, 1)
		dst = AppendWriter(dst, v.Writer)
		dst = binary.AppendUvarint(dst, v.Gen)
	}
	return dst
}

// WriterLen is the length of an encoded writer.
const WriterLen = 12

// AppendWriter appends device and epoch in a form whose byte order is the order of writers.
func AppendWriter(dst []byte, w id.Writer) []byte {
	dst = append(dst, w.Device[:]...)
	return binary.BigEndian.AppendUint32(dst, w.Epoch)
}

// DecodeWriter reads the first WriterLen bytes, which must be there.
func DecodeWriter(data []byte) (w id.Writer) {
	copy(w.Device[:], data)
	w.Epoch = binary.BigEndian.Uint32(data[len(w.Device):])
	return w
}

// AppendVector appends a vector in the order of its writers.
func AppendVector(dst []byte, v id.Vector) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	if len(v) == 1 { // the usual case needs no order
		for w, gen := range v {
			dst = binary.AppendUvarint(AppendWriter(dst, w), gen)
		}
		return dst
	}
	for _, w := range v.Writers() {
		dst = binary.AppendUvarint(AppendWriter(dst, w), v[w])
	}
	return dst
}

// DecodeVector reads a vector that fills data.
func DecodeVector(data []byte) (id.Vector, error) {
	d := decoder{data: data}
	v := d.vector(MaxWriters)
	return v, d.end()
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
