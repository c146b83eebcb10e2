package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"
)

// Limits of a blob.
const (
	// MaxBlobSize is the greatest size of a blob.
	MaxBlobSize = 64 << 30
	// MaxRecipeLen is the greatest length of an encoded recipe. It bounds blobs of many small chunks more tightly than
	// MaxBlobSize does.
	MaxRecipeLen = 48 << 20
)

// ErrTooLarge means that a blob exceeds MaxBlobSize or its recipe MaxRecipeLen.
var ErrTooLarge = errors.New("blob is too large")

const (
	recipeVersion = 1
	headerLen     = 1 + 8 + 4
	entryLen      = HashSize + 4
)

// Recipe lists the chunks of a blob. It is immutable and safe for concurrent use. The zero value is no recipe; that of the
// empty blob comes from a Builder.
type Recipe struct {
	// encoded is valid by construction.
	encoded []byte
	// starts holds the offset of each chunk within the blob.
	starts []uint64
}

// DecodeRecipe checks an encoded recipe in full and keeps it: the caller must not change data afterwards.
func DecodeRecipe(data []byte) (Recipe, error) {
	if len(data) > MaxRecipeLen {
		return Recipe{}, fmt.Errorf("%w: recipe of %d bytes, the limit is %d", ErrInvalid, len(data), MaxRecipeLen)
	}
	if len(data) < headerLen || data[0] != recipeVersion {
		return Recipe{}, fmt.Errorf("%w: recipe of %d bytes does not begin with a header of version %d", ErrInvalid, len(data), recipeVersion)
	}
	size, count := binary.BigEndian.Uint64(data[1:]), binary.BigEndian.Uint32(data[9:])
	if want := headerLen + uint64(count)*entryLen; want != uint64(len(data)) {
		return Recipe{}, fmt.Errorf("%w: recipe of %d chunks has %d bytes, want %d", ErrInvalid, count, len(data), want)
	}
	r := Recipe{encoded: data, starts: make([]uint64, count)}
	var sum uint64
	for i := range r.starts {
		r.starts[i] = sum
		n := r.Length(i)
		if n == 0 || n > MaxSize || n < MinSize && i+1 < len(r.starts) {
			return Recipe{}, fmt.Errorf("%w: chunk %d of %d in the recipe has %d bytes", ErrInvalid, i, count, n)
		}
		sum += uint64(n)
	}
	if sum != size || size > MaxBlobSize {
		return Recipe{}, fmt.Errorf("%w: recipe states %d bytes, its chunks have %d, the limit is %d", ErrInvalid, size, sum, uint64(MaxBlobSize))
	}
	return r, nil
}

// Encoded returns the canonical encoding, which the caller must not change.
func (r Recipe) Encoded() []byte { return r.encoded }

// Ref returns the name of the blob.
func (r Recipe) Ref() Ref { return Ref(Sum(r.encoded)) }

// Size returns the length of the blob.
func (r Recipe) Size() uint64 { return binary.BigEndian.Uint64(r.encoded[1:]) }

// Len returns the number of chunks.
func (r Recipe) Len() int { return len(r.starts) }

// Hash returns the name of chunk i.
func (r Recipe) Hash(i int) Hash { return Hash(r.encoded[headerLen+i*entryLen:][:HashSize]) }

// Length returns the length of chunk i.
func (r Recipe) Length(i int) uint32 {
	return binary.BigEndian.Uint32(r.encoded[headerLen+i*entryLen+HashSize:])
}

// Start returns the offset of chunk i within the blob.
func (r Recipe) Start(i int) uint64 { return r.starts[i] }

// Find returns the chunk that holds the byte at offset, or Len when the blob ends before it.
func (r Recipe) Find(offset uint64) int {
	if offset >= r.Size() {
		return r.Len()
	}
	return sort.Search(len(r.starts), func(i int) bool { return r.starts[i] > offset }) - 1
}

// Builder makes a recipe chunk by chunk. The zero value is ready.
type Builder struct {
	encoded []byte
	starts  []uint64
	size    uint64
	// last is the length of the last chunk; only that one may be short.
	last int
}

// Add appends a chunk of n bytes.
func (b *Builder) Add(h Hash, n int) error {
	if n <= 0 || n > MaxSize || len(b.starts) > 0 && b.last < MinSize {
		return fmt.Errorf("%w: chunk of %d bytes after one of %d", ErrInvalid, n, b.last)
	}
	if b.encoded == nil {
		b.encoded = make([]byte, headerLen, headerLen+16*entryLen)
	}
	if b.size+uint64(n) > MaxBlobSize || len(b.encoded)+entryLen > MaxRecipeLen {
		return fmt.Errorf("%w: more than %d bytes or %d chunks", ErrTooLarge, uint64(MaxBlobSize), (MaxRecipeLen-headerLen)/entryLen)
	}
	b.encoded = append(b.encoded, h[:]...)
	b.encoded = binary.BigEndian.AppendUint32(b.encoded, uint32(n))
	b.starts = append(b.starts, b.size)
	b.size += uint64(n)
	b.last = n
	return nil
}

// Recipe returns the recipe of the chunks so far and ends the use of the builder.
func (b *Builder) Recipe() Recipe {
	if b.encoded == nil {
		b.encoded = make([]byte, headerLen)
	}
	b.encoded[0] = recipeVersion
	binary.BigEndian.PutUint64(b.encoded[1:], b.size)
	binary.BigEndian.PutUint32(b.encoded[9:], uint32(len(b.starts)))
	return Recipe{encoded: b.encoded, starts: b.starts}
}
