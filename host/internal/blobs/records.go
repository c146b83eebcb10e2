package blobs

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
)

// position is where a chunk lies: the value of a chunk record.
type position struct {
	pack   chunk.Hash
	offset uint32
	length uint32
}

func (p position) end() uint32 { return p.offset + p.length }

func (p position) encode() []byte {
	value := append(make([]byte, 0, chunk.HashSize+8), p.pack[:]...)
	value = binary.BigEndian.AppendUint32(value, p.offset)
	return binary.BigEndian.AppendUint32(value, p.length)
}

func decodePosition(value []byte) (position, error) {
	if len(value) != chunk.HashSize+8 {
		return position{}, fmt.Errorf("%w: chunk record of %d bytes", ErrCorrupt, len(value))
	}
	p := position{
		pack:   chunk.Hash(value[:chunk.HashSize]),
		offset: binary.BigEndian.Uint32(value[chunk.HashSize:]),
		length: binary.BigEndian.Uint32(value[chunk.HashSize+4:]),
	}
	if p.length == 0 || p.length > chunk.MaxSize || p.offset < packHeaderLen || p.offset > maxPackLen {
		return position{}, fmt.Errorf("%w: chunk record with %d bytes at offset %d", ErrCorrupt, p.length, p.offset)
	}
	return p, nil
}

// State tells how much of a blob is here.
type State uint8

const (
	// Partial means that the recipe is here and chunks may be missing.
	Partial State = 1
	// Whole means that every chunk is here.
	Whole State = 2
)

// String returns the word that the command line shows.
func (s State) String() string {
	switch s {
	case Partial:
		return "partial"
	case Whole:
		return "local"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// blobRecord is the value of a blob record.
type blobRecord struct {
	state     State
	size      uint64
	recipeLen uint32
}

func (r blobRecord) encode() []byte {
	value := binary.BigEndian.AppendUint64([]byte{byte(r.state)}, r.size)
	return binary.BigEndian.AppendUint32(value, r.recipeLen)
}

func decodeBlobRecord(value []byte) (blobRecord, error) {
	if len(value) != 13 || State(value[0]) != Partial && State(value[0]) != Whole {
		return blobRecord{}, fmt.Errorf("%w: blob record %.16x", ErrCorrupt, value)
	}
	return blobRecord{
		state:     State(value[0]),
		size:      binary.BigEndian.Uint64(value[1:]),
		recipeLen: binary.BigEndian.Uint32(value[9:]),
	}, nil
}

const flagServer = 1

func (l Location) encode() []byte {
	var flags byte
	if l.Server {
		flags = flagServer
	}
	return append(binary.BigEndian.AppendUint64(nil, uint64(max(0, l.Seen.UnixMilli()))), flags)
}

func decodeLocation(key, value []byte) (Location, error) {
	const prefix = 1 + chunk.HashSize
	if len(key) != prefix+len(id.Device{}) || len(value) != 9 {
		return Location{}, fmt.Errorf("%w: signpost record of %d and %d bytes", ErrCorrupt, len(key), len(value))
	}
	return Location{
		Device: id.Device(key[prefix:]),
		Seen:   time.UnixMilli(int64(binary.BigEndian.Uint64(value))),
		Server: value[8]&flagServer != 0,
	}, nil
}
