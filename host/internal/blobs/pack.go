package blobs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

const (
	// packTarget bounds the chunk bytes of a pack.
	packTarget = 8 << 20
	// maxPackChunks bounds the index, for packs of very small chunks.
	maxPackChunks = 16384
	// maxPackLen bounds an object.
	maxPackLen = packHeaderLen + packTarget + maxPackChunks*packEntryLen + packTrailerLen

	packVersion    = 1
	packHeaderLen  = 8
	packEntryLen   = chunk.HashSize + 4
	packTrailerLen = chunk.HashSize + 4 + packHeaderLen
)

// packMark opens and closes a pack.
var packMark = binary.BigEndian.AppendUint16([]byte("SBPACK"), packVersion)

// pack is a pack being filled. A nil pack holds nothing.
type pack struct {
	// data is the object so far: header and chunk bytes, and once sealed also index and trailer.
	data []byte
	// entries is the index in the order of the bytes.
	entries []packEntry
	byHash  map[chunk.Hash]int
}

type packEntry struct {
	hash   chunk.Hash
	offset uint32
	length uint32
}

// newPack begins a pack in the buffer, whose content is lost.
func newPack(buffer []byte) *pack {
	return &pack{data: append(buffer[:0], packMark...), byHash: make(map[chunk.Hash]int)}
}

func (p *pack) empty() bool { return len(p.entries) == 0 }

// fits reports whether n more bytes keep the pack within its bounds.
func (p *pack) fits(n int) bool {
	return len(p.data)-packHeaderLen+n <= packTarget && len(p.entries) < maxPackChunks
}

func (p *pack) add(h chunk.Hash, data []byte) {
	const small = 512 << 10
	if len(p.data) > small && cap(p.data) < maxPackLen/2 {
		p.data = slices.Grow(p.data, packTarget+packTarget/64-len(p.data))
	}
	p.byHash[h] = len(p.entries)
	p.entries = append(p.entries, packEntry{hash: h, offset: uint32(len(p.data)), length: uint32(len(data))})
	p.data = append(p.data, data...)
}

func (p *pack) has(h chunk.Hash) bool {
	_, found := p.chunk(h)
	return found
}

// chunk returns the bytes of a chunk within the pack.
func (p *pack) chunk(h chunk.Hash) ([]byte, bool) {
	if p == nil {
		return nil, false
	}
	i, found := p.byHash[h]
	if !found {
		return nil, false
	}
	e := p.entries[i]
	return p.data[e.offset:][:e.length], true
}

// seal appends index and trailer and returns the name. Nothing may be added afterwards.
func (p *pack) seal() chunk.Hash {
	start := len(p.data)
	for _, e := range p.entries {
		p.data = append(p.data, e.hash[:]...)
		p.data = binary.BigEndian.AppendUint32(p.data, e.length)
	}
	name := chunk.Sum(p.data[start:])
	p.data = append(p.data, name[:]...)
	p.data = binary.BigEndian.AppendUint32(p.data, uint32(len(p.entries)))
	p.data = append(p.data, packMark...)
	return name
}

// decodePack reads the index of a whole object and checks everything but the chunks' hashes.
func decodePack(data []byte) (chunk.Hash, []packEntry, error) {
	corrupt := func(format string, args ...any) (chunk.Hash, []packEntry, error) {
		return chunk.Hash{}, nil, fmt.Errorf("%w: pack of %d bytes %s", ErrCorrupt, len(data), fmt.Sprintf(format, args...))
	}
	if len(data) < packHeaderLen+packTrailerLen || len(data) > maxPackLen {
		return corrupt("is too short or too long")
	}
	trailer := data[len(data)-packTrailerLen:]
	if !bytes.HasPrefix(data, packMark) || !bytes.HasSuffix(trailer, packMark) {
		return corrupt("does not begin and end with the mark of version %d", packVersion)
	}
	name, count := chunk.Hash(trailer), int(binary.BigEndian.Uint32(trailer[chunk.HashSize:]))
	start := len(data) - packTrailerLen - count*packEntryLen
	if count > maxPackChunks || start < packHeaderLen {
		return corrupt("states %d chunks", count)
	}
	index := data[start : len(data)-packTrailerLen]
	if chunk.Sum(index) != name {
		return corrupt("has an index that does not match its name")
	}
	entries := make([]packEntry, count)
	offset := packHeaderLen
	for i := range entries {
		entry := index[i*packEntryLen:]
		length := binary.BigEndian.Uint32(entry[chunk.HashSize:])
		if length == 0 || length > chunk.MaxSize {
			return corrupt("has a chunk of %d bytes", length)
		}
		entries[i] = packEntry{hash: chunk.Hash(entry[:chunk.HashSize]), offset: uint32(offset), length: length}
		offset += int(length)
	}
	if offset != start {
		return corrupt("has chunks up to byte %d and an index at byte %d", offset, start)
	}
	return name, entries, nil
}

// packObject returns the key of a pack in the object store.
func packObject(name chunk.Hash) []byte { return []byte("pack/" + name.String()) }
