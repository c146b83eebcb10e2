package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func recipeOf(t testing.TB, data []byte) Recipe {
	t.Helper()
	var b Builder
	for _, c := range chunks(t, bytes.NewReader(data)) {
		if err := b.Add(Sum(c), len(c)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Recipe()
}

func TestRecipeRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, MinSize, 1 << 20} {
		want := recipeOf(t, random(1, size))
		got, err := DecodeRecipe(want.Encoded())
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		if got.Size() != uint64(size) || got.Ref() != want.Ref() || got.Len() != want.Len() {
			t.Errorf("size %d: decoded size %d, %d chunks", size, got.Size(), got.Len())
		}
		if diff := cmp.Diff(want.starts, got.starts); size > 0 && diff != "" {
			t.Errorf("size %d: starts (-built +decoded):\n%s", size, diff)
		}
	}
}

// References are names that other devices keep for ever.
func TestGoldenRefs(t *testing.T) {
	for size, want := range goldenRefs {
		if got := recipeOf(t, random(1, size)).Ref().String(); got != want {
			t.Errorf("blob of %d bytes: %s, want %s", size, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	r := recipeOf(t, random(2, 1<<20))
	for i := range r.Len() {
		last := r.Start(i) + uint64(r.Length(i)) - 1
		if a, b := r.Find(r.Start(i)), r.Find(last); a != i || b != i {
			t.Errorf("chunk %d: its first byte is found in %d, its last in %d", i, a, b)
		}
	}
	if got := r.Find(r.Size()); got != r.Len() {
		t.Errorf("Find(size) = %d, want %d", got, r.Len())
	}
	if got := recipeOf(t, nil).Find(0); got != 0 {
		t.Errorf("Find(0) of the empty blob = %d, want 0", got)
	}
}

func TestDecodeRecipeRefuses(t *testing.T) {
	good := recipeOf(t, random(3, 500_000)).Encoded()
	edit := func(f func([]byte) []byte) []byte { return f(bytes.Clone(good)) }
	for name, data := range map[string][]byte{
		"nothing":      nil,
		"no header":    good[:headerLen-1],
		"version":      edit(func(d []byte) []byte { d[0] = 2; return d }),
		"cut":          good[:len(good)-1],
		"more":         append(bytes.Clone(good), 0),
		"count":        edit(func(d []byte) []byte { d[9] = 0xff; return d }),
		"size":         edit(func(d []byte) []byte { d[8]++; return d }),
		"zero chunk":   edit(func(d []byte) []byte { clear(d[len(d)-4:]); return d }),
		"short chunk":  edit(func(d []byte) []byte { binary.BigEndian.PutUint32(d[headerLen+HashSize:], MinSize-1); return d }),
		"long chunk":   edit(func(d []byte) []byte { binary.BigEndian.PutUint32(d[headerLen+HashSize:], MaxSize+1); return d }),
		"empty, sized": append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1}, 0, 0, 0, 0),
		"too long":     make([]byte, MaxRecipeLen+1),
	} {
		if _, err := DecodeRecipe(data); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	var b Builder
	if err := b.Add(Hash{}, MinSize-1); err != nil {
		t.Fatal(err)
	}
	if err := b.Add(Hash{}, MinSize); !errors.Is(err, ErrInvalid) {
		t.Errorf("chunk after a short one: %v, want ErrInvalid", err)
	}
	for _, n := range []int{-1, 0, MaxSize + 1} {
		if err := new(Builder).Add(Hash{}, n); !errors.Is(err, ErrInvalid) {
			t.Errorf("chunk of %d bytes: %v, want ErrInvalid", n, err)
		}
	}
	big := Builder{size: MaxBlobSize - MinSize + 1}
	if err := big.Add(Hash{}, MinSize); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte beyond the limit: %v, want ErrTooLarge", err)
	}
}

func FuzzDecodeRecipe(f *testing.F) {
	f.Add(recipeOf(f, nil).Encoded())
	f.Add(recipeOf(f, random(1, 300_000)).Encoded())
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := DecodeRecipe(data)
		if err != nil {
			return
		}
		var b Builder
		for i := range r.Len() {
			if err := b.Add(r.Hash(i), int(r.Length(i))); err != nil {
				t.Fatalf("chunk %d of a decoded recipe cannot be built: %v", i, err)
			}
		}
		if again := b.Recipe(); !bytes.Equal(again.Encoded(), data) {
			t.Fatalf("recipe %x is built again as %x", data, again.Encoded())
		}
	})
}
