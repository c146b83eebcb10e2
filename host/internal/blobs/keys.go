package blobs

import (
	"encoding/binary"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Spaces: the first byte of every key. Blobs own 0x40 to 0x5f.
const (
	// | 0x40 | chunk hash 32 | -> pack name 32, offset u32, length u32
	spaceChunk = 0x40
	// | 0x41 | pack name 32 | -> object length u32, count u32
	spacePack = 0x41
	// | 0x42 | ref 32 | -> state u8, size u64, recipe length u32
	spaceBlob = 0x42
	// | 0x43 | ref 32 | page u32 | -> page of the encoded recipe
	spaceRecipe = 0x43
	// | 0x44 | ref 32 | database u32 | collection u32 | row key | -> empty; collection 0 with no key: put through the database
	spaceReference = 0x44
	// | 0x45 | ref 32 | device 8 | -> seen u64, flags u8
	spaceSignpost = 0x45
	// | 0x46 | ref 32 | -> empty
	spaceMissing = 0x46
)

// hashKey makes the keys that are a space and a hash, and the prefixes of those that go on after it.
func hashKey(space byte, h [chunk.HashSize]byte) []byte {
	key := make([]byte, 1, 1+len(h)+8)
	key[0] = space
	return append(key, h[:]...)
}

func recipeKey(ref chunk.Ref, page int) []byte {
	return binary.BigEndian.AppendUint32(hashKey(spaceRecipe, ref), uint32(page))
}

func referenceKey(ref chunk.Ref, db, collection uint32, row string) []byte {
	key := binary.BigEndian.AppendUint32(hashKey(spaceReference, ref), db)
	key = binary.BigEndian.AppendUint32(key, collection)
	return append(key, row...)
}

func signpostKey(ref chunk.Ref, device id.Device) []byte {
	return append(hashKey(spaceSignpost, ref), device[:]...)
}
