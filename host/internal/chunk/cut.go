package chunk

import (
	"encoding/binary"

	"github.com/zeebo/blake3"
)

// Sizes of chunks, in bytes.
const (
	// MinSize is the least length of a chunk, except of a blob's last one.
	MinSize = 16 << 10
	// MaxSize is the greatest length of a chunk.
	MaxSize = 256 << 10

	// normalSize is where the easier condition begins: it draws the lengths together, to a mean of 64 KiB.
	normalSize = 52 << 10
	// window is how many bytes the gear hash remembers: one for each of its bits.
	window = 64
	// A boundary stands where the hash is below hard, and after normalSize below easy.
	hard = 1 << (64 - 18)
	easy = 1 << (64 - 14)
)

// gearSeed makes the gear table of recipe version 1. It can never change.
const gearSeed = "syncbase gear table, recipe version 1"

// gear gives each byte value its random number.
var gear = newGear(gearSeed)

func newGear(seed string) (table [256]uint64) {
	h := blake3.New()
	_, _ = h.WriteString(seed) // never fails
	var raw [8 * len(table)]byte
	_, _ = h.Digest().Read(raw[:]) // never fails
	for i := range table {
		table[i] = binary.LittleEndian.Uint64(raw[8*i:])
	}
	return table
}

// Cut returns the length of the first chunk of data, 0 only for empty data. The data must hold at least MaxSize bytes, or
// else end where the blob ends.
//
// The hash at a position depends on the 64 bytes before it and on nothing else, so boundaries are found again after an
// insertion. (W. Xia et al., "FastCDC: a fast and efficient content-defined chunking approach", 2016.)
func Cut(data []byte) int {
	if len(data) <= MinSize {
		return len(data)
	}
	data = data[:min(len(data), MaxSize)]
	var h uint64
	for _, b := range data[MinSize-window : MinSize] {
		h = h<<1 + gear[b]
	}
	normal := min(len(data), normalSize)
	for i, b := range data[MinSize:normal] {
		if h < hard {
			return MinSize + i
		}
		h = h<<1 + gear[b]
	}
	for i, b := range data[normal:] {
		if h < easy {
			return normal + i
		}
		h = h<<1 + gear[b]
	}
	return len(data)
}
