package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(data)
	return data
}

func chunks(t testing.TB, r io.Reader) [][]byte {
	t.Helper()
	var all [][]byte
	c := NewChunker(r)
	for {
		data, err := c.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, bytes.Clone(data))
	}
}

func lengths(all [][]byte) []int {
	n := make([]int, len(all))
	for i, c := range all {
		n[i] = len(c)
	}
	return n
}

func checkBounds(t testing.TB, name string, data []byte, all [][]byte) {
	t.Helper()
	if !bytes.Equal(bytes.Join(all, nil), data) {
		t.Fatalf("%s: the chunks do not add up to the data", name)
	}
	for i, c := range all {
		if len(c) > MaxSize || len(c) == 0 || len(c) < MinSize && i+1 < len(all) {
			t.Fatalf("%s: chunk %d of %d has %d bytes", name, i, len(all), len(c))
		}
	}
}

// The table and the boundaries are part of recipe version 1: if this test fails, references change their meaning.
func TestGolden(t *testing.T) {
	var raw []byte
	for _, g := range gear {
		raw = binary.LittleEndian.AppendUint64(raw, g)
	}
	got := map[string]any{
		"gear":    Sum(raw).String(),
		"first":   gear[0],
		"lengths": lengths(chunks(t, bytes.NewReader(random(1, 600_000)))),
	}
	want := map[string]any{
		"gear":    goldenGear,
		"first":   goldenFirst,
		"lengths": goldenLengths,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBoundsOnAllKindsOfData(t *testing.T) {
	mixed := random(2, 3<<20)
	for i := range mixed {
		if i%4400 >= 400 {
			mixed[i] = 0
		}
	}
	kinds := map[string][]byte{
		"empty":   nil,
		"one":     {1},
		"min":     random(3, MinSize),
		"min+1":   random(3, MinSize+1),
		"max":     random(4, MaxSize),
		"max+1":   random(4, MaxSize+1),
		"random":  random(5, 8<<20),
		"zero":    make([]byte, 3<<20),
		"text":    []byte(strings.Repeat("the quick brown fox jumps over the lazy dog\n", 60_000)),
		"bursts":  mixed,
		"attack":  attack(3 << 20),
		"random+": append(random(6, 100_000), make([]byte, 1<<20)...),
	}
	for name, data := range kinds {
		checkBounds(t, name, data, chunks(t, bytes.NewReader(data)))
	}
	if n := len(chunks(t, bytes.NewReader(kinds["zero"]))); n != 12 {
		t.Errorf("3 MiB of zeros make %d chunks, want 12 of the greatest length", n)
	}
}

// attack builds data in which a boundary condition holds as often as a search finds it.
func attack(n int) []byte {
	least := byte(0)
	for b := range gear {
		if gear[b] < gear[least] {
			least = byte(b)
		}
	}
	data := random(7, n)
	for i := range data {
		if i%64 > 2 {
			data[i] = least
		}
	}
	return data
}

func TestConstantDataMakesGreatestChunks(t *testing.T) {
	for b := range 256 {
		data := bytes.Repeat([]byte{byte(b)}, MaxSize)
		if n := Cut(data); n != MaxSize {
			t.Errorf("bytes %#x: cut at %d", b, n)
		}
	}
}

func TestMeanLength(t *testing.T) {
	const size = 64 << 20
	n := len(chunks(t, bytes.NewReader(random(8, size))))
	if mean := size / n; mean < 60<<10 || mean > 68<<10 {
		t.Errorf("mean chunk length %d, want about 64 KiB", mean)
	}
}

func TestInsertionMovesOnlyNearBoundaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := random(rapid.Uint64().Draw(t, "seed"), 4<<20)
		at := rapid.IntRange(0, len(data)).Draw(t, "at")
		insert := random(rapid.Uint64().Draw(t, "insert seed"), rapid.IntRange(1, 300_000).Draw(t, "insert length"))
		edited := append(append(bytes.Clone(data[:at]), insert...), data[at:]...)
		known := make(map[Hash]bool)
		c := NewChunker(bytes.NewReader(data))
		for d, err := c.Next(); err == nil; d, err = c.Next() {
			known[Sum(d)] = true
		}
		fresh := 0
		c.Reset(bytes.NewReader(edited))
		for d, err := c.Next(); err == nil; d, err = c.Next() {
			if !known[Sum(d)] {
				fresh += len(d)
			}
		}
		if limit := len(insert) + 6*MaxSize; fresh > limit {
			t.Fatalf("inserting %d bytes made %d new bytes of chunks, want at most %d", len(insert), fresh, limit)
		}
	})
}

func TestChunkerDoesNotDependOnReadSizes(t *testing.T) {
	data := random(9, 1<<20)
	want := lengths(chunks(t, bytes.NewReader(data)))
	for name, r := range map[string]io.Reader{
		"half":     iotest.HalfReader(bytes.NewReader(data)),
		"data+err": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		if diff := cmp.Diff(want, lengths(chunks(t, r))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestChunkerReportsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"error": {io.MultiReader(bytes.NewReader(random(1, 700_000)), iotest.ErrReader(broken)), broken},
		"stuck": {stuck{}, io.ErrNoProgress},
	} {
		chunker := NewChunker(c.r)
		var err error
		for n := 0; err == nil && n < 100; n++ {
			_, err = chunker.Next()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestRefText(t *testing.T) {
	ref := Ref(Sum([]byte("x")))
	got, err := ParseRef(ref.String())
	if err != nil || got != ref {
		t.Errorf("ParseRef(%q) = %v, %v", ref, got, err)
	}
	text := ref.String()
	for _, bad := range []string{
		"", "blob1-", text[:RefLen-1], text + "0", strings.ToUpper(text), " " + text, "blob2-" + text[6:],
		"blob1-" + strings.Repeat("g", 64), "../" + text, text[:20] + "/" + text[21:], strings.Repeat("a", 10_000),
	} {
		if _, err := ParseRef(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseRef(%.90q): got %v, want ErrInvalid", bad, err)
		}
	}
}

func BenchmarkCut(b *testing.B) {
	data := random(1, 16<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		for rest := data; len(rest) > 0; {
			rest = rest[Cut(rest):]
		}
	}
}

func BenchmarkChunkAndHash(b *testing.B) {
	data := random(1, 16<<20)
	b.SetBytes(int64(len(data)))
	c := NewChunker(nil)
	for b.Loop() {
		c.Reset(bytes.NewReader(data))
		for d, err := c.Next(); err == nil; d, err = c.Next() {
			Sum(d)
		}
	}
}

// TestCutFollowsTheWrittenRule computes the rule of docs/format-blobs.md the slow way.
func TestCutFollowsTheWrittenRule(t *testing.T) {
	rule := func(data []byte) int {
		for i := range min(len(data), MaxSize) {
			var h uint64
			for k := 0; i >= MinSize && k < 64; k++ {
				h += gear[data[i-1-k]] << k
			}
			if i >= 16384 && i < 53248 && h < 1<<46 || i >= 53248 && h < 1<<50 {
				return i
			}
		}
		return min(len(data), MaxSize)
	}
	data := random(10, 2<<20)
	for len(data) > 0 {
		want, got := rule(data), Cut(data)
		if got != want {
			t.Fatalf("%d bytes before the end: cut after %d bytes, the rule says %d", len(data), got, want)
		}
		data = data[got:]
	}
}
