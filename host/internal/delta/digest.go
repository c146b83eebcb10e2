package delta

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Two devices with equal vectors of a scope should hold the same rows, and can prove it to each other without listing them:
// each keeps, for each scope, sums of the digests of its rows, in buckets. A sum does not depend on the order in which
// rows came, and follows a change without looking at any other row. Deleted rows are in no sum, since each device
// forgets them at a time of its own; a delete that is one side of an open conflict is remembered by all, and counts.

// Buckets is how many sums a scope has: what differs in one of them is found by listing the rows of that bucket alone.
const Buckets = 64

// Bucket returns the bucket of a row (FNV-1a, by Fowler, Noll and Vo).
func Bucket(key string) int {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return int((h>>32 ^ h) % Buckets)
}

// Sum is a sum of digests of rows, in four lanes.
type Sum [4]uint64

// Add adds another sum.
func (s *Sum) Add(o Sum) {
	for i := range s {
		s[i] += o[i]
	}
}

// Subtract takes another sum away.
func (s *Sum) Subtract(o Sum) {
	for i := range s {
		s[i] -= o[i]
	}
}

// Short is a part of the sum that two different ones have in common by chance only.
func (s *Sum) Short() uint64 { return s[0] }

// RowVersion is a version of a row that is current, or stands open beside the current one.
type RowVersion struct {
	Key     string
	Version id.Version
	// Time of its commit: two versions under one name differ in it.
	Time hlc.Time
	// Deleted: the version deletes the row. If that is all there is of the row, it is in no sum. It is listed all the same, for
	// whoever lacks it.
	Deleted bool
	// Contested: the row has other versions beside this one.
	Contested bool
	// Past: it is wanted with the history that it has in the row, with what links have added to it.
	Past bool
}

// Sum returns the digest of the version as a sum of one.
func (r *RowVersion) Sum() Sum {
	if r.Deleted && !r.Contested {
		return Sum{}
	}
	var buf [96]byte
	data := append(buf[:0], r.Version.Writer.Device[:]...)
	data = binary.BigEndian.AppendUint32(data, r.Version.Writer.Epoch)
	data = binary.BigEndian.AppendUint64(data, r.Version.Gen)
	data = binary.BigEndian.AppendUint64(data, uint64(r.Time))
	data = append(data, r.Key...)
	hash := sha256.Sum256(data)
	var s Sum
	for i := range s {
		s[i] = binary.BigEndian.Uint64(hash[8*i:])
	}
	return s
}

// Counting says which versions are in the sums of a fingerprint.
type Counting uint8

const (
	// CountContested is how devices count: all versions but deletes that are alone in their rows.
	CountContested Counting = iota
	// CountLive is how devices counted that left out all deletes. What they hold can still be compared.
	CountLive
)

// Fingerprint is what a device shows of a scope so that another one can compare: what it knows, and its sums in short.
type Fingerprint struct {
	Scope    id.Scope
	Vector   id.Vector
	Counting Counting
	Sums     [Buckets]uint64
}

// Differing returns a bit for each bucket in which the fingerprints differ. They can be compared only when the vectors are
// equal, and both count alike.
func (f *Fingerprint) Differing(o *Fingerprint) (buckets uint64, comparable bool) {
	if f.Scope != o.Scope || f.Counting != o.Counting || f.Vector.Compare(o.Vector) != id.Equal {
		return 0, false
	}
	for i := range f.Sums {
		if f.Sums[i] != o.Sums[i] {
			buckets |= 1 << i
		}
	}
	return buckets, true
}

// Verdict is the answer to a fingerprint.
type Verdict struct {
	Scope id.Scope
	// Level: the vectors were equal, so that Differing means something.
	Level bool
	// Differing has a bit for each bucket that differs.
	Differing uint64
}
