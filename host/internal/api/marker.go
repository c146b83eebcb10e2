package api

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// marker is a point in the life of a database on this device, at which a watch can go on. To clients it is opaque text.
//
//	version u8 || kind u8 || device 8 || epoch u32 || database u32 || seq u64     in base64url without padding
type marker struct {
	// kind is markerInitial for "before the initial state", and then seq is 0.
	kind   byte
	writer id.Writer
	db     uint32
	seq    uint64
}

const (
	markerVersion = 1
	markerLen     = 1 + 1 + 8 + 4 + 4 + 8

	markerLog     = 0
	markerInitial = 1
)

var markerText = base64.RawURLEncoding.Strict()

func markerAt(db *rows.DB, seq uint64) marker {
	return marker{kind: markerLog, writer: db.Writer(), db: db.Num(), seq: seq}
}

func (m marker) String() string {
	data := make([]byte, 0, markerLen)
	data = append(data, markerVersion, m.kind)
	data = append(data, m.writer.Device[:]...)
	data = binary.BigEndian.AppendUint32(data, m.writer.Epoch)
	data = binary.BigEndian.AppendUint32(data, m.db)
	data = binary.BigEndian.AppendUint64(data, m.seq)
	return markerText.EncodeToString(data)
}

func parseMarker(text string) (marker, error) {
	if len(text) != markerText.EncodedLen(markerLen) {
		return marker{}, fmt.Errorf("%w: %d characters; take it from an earlier change as it is", errMarker, len(text))
	}
	data, err := markerText.DecodeString(text)
	if err != nil || len(data) != markerLen {
		return marker{}, fmt.Errorf("%w: %q; take it from an earlier change as it is", errMarker, text)
	}
	if data[0] != markerVersion {
		return marker{}, fmt.Errorf("%w: its version is %d, this daemon knows %d", errMarker, data[0], markerVersion)
	}
	m := marker{kind: data[1], db: binary.BigEndian.Uint32(data[14:]), seq: binary.BigEndian.Uint64(data[18:])}
	copy(m.writer.Device[:], data[2:])
	m.writer.Epoch = binary.BigEndian.Uint32(data[10:])
	if m.kind > markerInitial || m.kind == markerInitial && m.seq != 0 {
		return marker{}, fmt.Errorf("%w: %q; take it from an earlier change as it is", errMarker, text)
	}
	return m, nil
}

// within checks that the marker is of this very database.
func (m marker) within(db *rows.DB) error {
	if m.writer != db.Writer() || m.db != db.Num() {
		return fmt.Errorf("%w: it was made by another device, or by an earlier database of the same name; begin again with the initial state", errForeignMarker)
	}
	return nil
}
