package id

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Device names a device for as long as it keeps its data: 64 random bits.
type Device [8]byte

// String returns 16 hexadecimal digits.
func (d Device) String() string { return hex.EncodeToString(d[:]) }

// ParseDevice reads what String writes.
func ParseDevice(text string) (Device, error) {
	var d Device
	if len(text) != 2*len(d) {
		return d, fmt.Errorf("%w: device %q, want %d hexadecimal digits", ErrInvalid, text, 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Device{}, fmt.Errorf("%w: device %q: %v", ErrInvalid, text, err)
	}
	if d.String() != text {
		return Device{}, fmt.Errorf("%w: device %q, want lower-case digits", ErrInvalid, text)
	}
	return d, nil
}

// Writer is a device in one epoch of its life. The epoch grows whenever the device may have forgotten what it wrote
// (restore, clone, re-creation), so that no generation is ever used for two different records.
type Writer struct {
	Device Device
	Epoch  uint32
}

// String returns "device.epoch".
func (w Writer) String() string {
	return w.Device.String() + "." + strconv.FormatUint(uint64(w.Epoch), 10)
}

// Compare orders by device, then by epoch.
func (w Writer) Compare(o Writer) int {
	if c := bytes.Compare(w.Device[:], o.Device[:]); c != 0 {
		return c
	}
	return cmp.Compare(w.Epoch, o.Epoch)
}

// IsZero reports whether w names nobody.
func (w Writer) IsZero() bool { return w == Writer{} }

// Version is where a record was made: by which writer, as which of its generations in the database. Generations count
// from 1. Log record, version of a row and position in a generation vector are this one name.
type Version struct {
	Writer Writer
	Gen    uint64
}

// IsZero reports whether v names no version.
func (v Version) IsZero() bool { return v == Version{} }

// Compare orders by writer, then by generation.
func (v Version) Compare(o Version) int {
	if c := v.Writer.Compare(o.Writer); c != 0 {
		return c
	}
	return cmp.Compare(v.Gen, o.Gen)
}

// String returns "device.epoch-generation", and "" for the zero version.
func (v Version) String() string {
	if v.IsZero() {
		return ""
	}
	text := make([]byte, 0, 64)
	text = hex.AppendEncode(text, v.Writer.Device[:])
	text = strconv.AppendUint(append(text, '.'), uint64(v.Writer.Epoch), 10)
	return string(strconv.AppendUint(append(text, '-'), v.Gen, 10))
}

// ParseVersion reads what String writes and nothing else, so that versions can be compared as texts.
func ParseVersion(text string) (Version, error) {
	if text == "" {
		return Version{}, nil
	}
	device, rest, ok1 := strings.Cut(text, ".")
	epoch, gen, ok2 := strings.Cut(rest, "-")
	if !ok1 || !ok2 {
		return Version{}, fmt.Errorf("%w: version %q, want DEVICE.EPOCH-GENERATION", ErrInvalid, text)
	}
	d, err := ParseDevice(device)
	if err != nil {
		return Version{}, fmt.Errorf("version %q: %w", text, err)
	}
	e, err := strconv.ParseUint(epoch, 10, 32)
	if err != nil {
		return Version{}, fmt.Errorf("%w: version %q: epoch %q is no number", ErrInvalid, text, epoch)
	}
	g, err := strconv.ParseUint(gen, 10, 64)
	if err != nil || g == 0 {
		return Version{}, fmt.Errorf("%w: version %q: generation %q is no positive number", ErrInvalid, text, gen)
	}
	v := Version{Writer: Writer{Device: d, Epoch: uint32(e)}, Gen: g}
	if v.String() != text {
		return Version{}, fmt.Errorf("%w: version %q, want %q", ErrInvalid, text, v)
	}
	return v, nil
}
