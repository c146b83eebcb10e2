package blobs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

func samplePack() (chunk.Hash, *pack) {
	p := newPack(nil)
	for _, text := range []string{"one", "two"} {
		p.add(chunk.Sum([]byte(text)), []byte(text))
	}
	return p.seal(), p
}

func TestPackRoundTrip(t *testing.T) {
	name, p := samplePack()
	gotName, entries, err := decodePack(p.data)
	if err != nil || gotName != name {
		t.Fatalf("decoded name %v, %v; want %v", gotName, err, name)
	}
	if diff := cmp.Diff(p.entries, entries, cmp.AllowUnexported(packEntry{})); diff != "" {
		t.Errorf("-sealed +decoded:\n%s", diff)
	}
	for _, e := range entries {
		if chunk.Sum(p.data[e.offset:][:e.length]) != e.hash {
			t.Errorf("the entry at %d does not hold its chunk", e.offset)
		}
	}
}

func TestGoldenPack(t *testing.T) {
	_, p := samplePack()
	if got := hex.EncodeToString(p.data); got != goldenPack {
		t.Errorf("pack format changed: %s", got)
	}
}

func TestDamagedPackIsRefused(t *testing.T) {
	_, p := samplePack()
	chunkBytes := len("one") + len("two")
	for i := range p.data {
		if i >= packHeaderLen && i < packHeaderLen+chunkBytes {
			continue // chunk bytes are checked by their hashes
		}
		bad := bytes.Clone(p.data)
		bad[i] ^= 0x10
		if _, _, err := decodePack(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d changed: %v, want ErrCorrupt", i, err)
		}
	}
	for n := range p.data {
		if _, _, err := decodePack(p.data[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v, want ErrCorrupt", n, err)
		}
	}
}

func TestPackBounds(t *testing.T) {
	p := newPack(nil)
	big := make([]byte, chunk.MaxSize)
	for i := byte(0); p.fits(len(big)); i++ {
		p.add(chunk.Hash{i}, big)
	}
	if want := packTarget / chunk.MaxSize; len(p.entries) != want {
		t.Errorf("%d of the greatest chunks fit, want %d", len(p.entries), want)
	}
	p.seal()
	if len(p.data) > maxPackLen {
		t.Errorf("pack of %d bytes, the limit is %d", len(p.data), maxPackLen)
	}
}

func FuzzDecodePack(f *testing.F) {
	_, p := samplePack()
	f.Add(p.data)
	f.Add([]byte("SBPACK"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name, entries, err := decodePack(data)
		if err != nil {
			return
		}
		again := newPack(nil)
		for _, e := range entries {
			again.add(e.hash, data[e.offset:][:e.length])
		}
		if again.seal() != name || !bytes.Equal(again.data, data) {
			t.Fatal("a decoded pack is sealed differently")
		}
	})
}

const goldenPack = "53425041434b0001" + "6f6e65" + "74776f" +
	"d33fb48ab5adff269ae172b29a6913ff04f6f266207a7a8e976f2ecd571d4492" + "00000003" +
	"dc770fff53f50835f8cc957e01c0d5731d3c2ed544c375493a28c09be5e09763" + "00000003" +
	"21c38a1f48ce3aecc6dcb72945e4538635fd778d4c5b44c258e87f0868b87b28" + "00000002" + "53425041434b0001"
