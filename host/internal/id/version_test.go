package id_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

var anyWriter = rapid.Custom(func(t *rapid.T) id.Writer {
	w := id.Writer{Epoch: rapid.Uint32().Draw(t, "epoch")}
	copy(w.Device[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "device"))
	return w
})

func TestVersionText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := id.Version{Writer: anyWriter.Draw(t, "writer"), Gen: rapid.Uint64Min(1).Draw(t, "gen")}
		if got, err := id.ParseVersion(want.String()); err != nil || got != want {
			t.Fatalf("%s became %s, %v", want, got, err)
		}
	})
	if v, err := id.ParseVersion(""); err != nil || !v.IsZero() || v.String() != "" {
		t.Errorf("the empty text: %v, %v", v, err)
	}
	refused := []string{
		"x", "0000000000000001", "0000000000000001.1", "0000000000000001.1-", "0000000000000001.-1", ".1-1", "0000000000000001.1-0",
		"0000000000000001.1-x", "0000000000000001.x-1", "0000000000000001.4294967296-1", "0000000000000001.1-18446744073709551616",
		"00000000000000g1.1-1", "000000000000001.1-1", "00000000000000001.1-1", "0000000000000001.1-1 ", "0000000000000001.+1-1",
		"0000000000000001.1--1", "0000000000000001.01-1", "0000000000000001.1-01", "000000000000000A.1-1",
	}
	for _, text := range refused {
		if v, err := id.ParseVersion(text); !errors.Is(err, id.ErrInvalid) || !v.IsZero() {
			t.Errorf("%q passes as %v, %v", text, v, err)
		}
	}
}

func TestDeviceText(t *testing.T) {
	d := id.Device{0x01, 0xab, 7: 0xff}
	if got, err := id.ParseDevice("01ab0000000000ff"); err != nil || got != d || got.String() != "01ab0000000000ff" {
		t.Errorf("%s, %v", got, err)
	}
	for _, text := range []string{"", "01", "01ab0000000000fg", "01AB0000000000ff", "01ab0000000000ff00"} {
		if got, err := id.ParseDevice(text); !errors.Is(err, id.ErrInvalid) || got != (id.Device{}) {
			t.Errorf("%q passes as %s, %v", text, got, err)
		}
	}
}

// Versions sort by device, then by epoch, then by generation, as numbers.
func TestVersionsOrder(t *testing.T) {
	version := func(device byte, epoch uint32, gen uint64) id.Version {
		return id.Version{Writer: id.Writer{Device: id.Device{device}, Epoch: epoch}, Gen: gen}
	}
	ordered := []id.Version{{}, version(0, 0, 1), version(0, 2, 1), version(0, 10, 1), version(1, 0, 2), version(1, 0, 10), version(0xff, 0, 1)}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s compare %d", a, b, got)
			}
		}
	}
	if !ordered[0].IsZero() || ordered[1].IsZero() || !ordered[1].Writer.IsZero() || ordered[2].Writer.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("01ab0000000000ff.3-17")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := id.ParseVersion(text)
		if err == nil && v.String() != text {
			t.Errorf("%q became %q", text, v)
		}
		if err != nil && !errors.Is(err, id.ErrInvalid) {
			t.Errorf("%q: %v does not wrap ErrInvalid", text, err)
		}
	})
}
