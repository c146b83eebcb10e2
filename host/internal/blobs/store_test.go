package blobs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(data)
	return data
}

type fixture struct {
	*blobs.Store
	kv      *kv.Store
	objects *blobstest.Objects
}

func newFixture(t testing.TB) fixture {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	objects := new(blobstest.Objects)
	return fixture{blobs.New(store, objects), store, objects}
}

func (f fixture) put(t testing.TB, data []byte) chunk.Ref {
	t.Helper()
	ref, size, err := f.PutBlob(t.Context(), bytes.NewReader(data))
	if err != nil || size != uint64(len(data)) {
		t.Fatalf("PutBlob of %d bytes: size %d, %v", len(data), size, err)
	}
	return ref
}

func read(t testing.TB, s *blobs.Store, ref chunk.Ref, offset, length uint64) ([]byte, error) {
	t.Helper()
	r, err := s.Open(ref)
	if err != nil {
		return nil, err
	}
	var got bytes.Buffer
	n, err := r.WriteTo(t.Context(), &got, offset, length)
	if n != int64(got.Len()) {
		t.Errorf("WriteTo says %d bytes and wrote %d", n, got.Len())
	}
	return got.Bytes(), err
}

// reference: store-111 a blob that was stored is read whole and from any offset.
func TestPutAndReadBack(t *testing.T) {
	f := newFixture(t)
	for _, size := range []int{0, 1, chunk.MinSize, 300_000, 20 << 20} {
		data := random(uint64(size), size)
		ref := f.put(t, data)
		for _, r := range []struct{ offset, length uint64 }{
			{0, uint64(size)}, {0, 1 << 62}, {uint64(size), 10}, {uint64(size) / 3, uint64(size) / 2}, {uint64(size) / 2, 1}, {0, 0},
		} {
			got, err := read(t, f.Store, ref, r.offset, r.length)
			want := data[r.offset:min(r.offset+r.length, uint64(size))]
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, range %+v: got %d bytes (%v), want %d", size, r, len(got), err, len(want))
			}
		}
		if _, err := read(t, f.Store, ref, uint64(size)+1, 1); !errors.Is(err, blobs.ErrRange) {
			t.Errorf("offset beyond the end: %v, want ErrRange", err)
		}
	}
}

func TestReadAt(t *testing.T) {
	f := newFixture(t)
	data := random(1, 1<<20)
	r, err := f.Open(f.put(t, data))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100_000)
	if n, err := r.ReadAt(t.Context(), p, 50_000); err != nil || !bytes.Equal(p[:n], data[50_000:150_000]) {
		t.Errorf("in the middle: %d bytes, %v", n, err)
	}
	if n, err := r.ReadAt(t.Context(), p, 1<<20-10); !errors.Is(err, io.EOF) || !bytes.Equal(p[:n], data[1<<20-10:]) {
		t.Errorf("at the end: %d bytes, %v; want 10 and EOF", n, err)
	}
}

func TestRangesProperty(t *testing.T) {
	f := newFixture(t)
	data := random(2, 3<<20)
	f.put(t, data[500_000:1_500_000]) // so that the chunks lie in several packs
	r, err := f.Open(f.put(t, data))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		offset := rapid.IntRange(0, len(data)).Draw(t, "offset")
		p := make([]byte, rapid.IntRange(0, len(data)-offset).Draw(t, "length"))
		if n, err := r.ReadAt(context.Background(), p, uint64(offset)); err != nil || !bytes.Equal(p[:n], data[offset:][:len(p)]) {
			t.Fatalf("got %d bytes, %v", n, err)
		}
	})
}

func TestReadsAreCoalesced(t *testing.T) {
	f := newFixture(t)
	ref := f.put(t, random(3, 7<<20))
	if _, err := read(t, f.Store, ref, 0, 1<<62); err != nil {
		t.Fatal(err)
	}
	if got := f.objects.Gets(); got > 5 {
		t.Errorf("reading 7 MiB of one pack took %d reads of the object store, want at most 5", got)
	}
}

func TestEqualContentIsStoredOnce(t *testing.T) {
	f := newFixture(t)
	data := random(4, 12<<20)
	ref := f.put(t, data)
	before := stored(f)
	if again := f.put(t, data); again != ref {
		t.Errorf("equal content has the references %v and %v", ref, again)
	}
	if after := stored(f); after != before {
		t.Errorf("putting the same content again stored %d more bytes", after-before)
	}
	f.put(t, append(random(5, 1<<20), data...))
	if more := stored(f) - before; more > 3<<20 {
		t.Errorf("1 MiB before 12 MiB that were known stored %d bytes, want less than 3 MiB", more)
	}
	f.put(t, bytes.Repeat([]byte{7}, 4<<20))
	if more := stored(f) - before; more > 4<<20 {
		t.Errorf("a chunk that repeats within a blob is stored more than once")
	}
}

func stored(f fixture) (n int) {
	for _, key := range f.objects.Keys() {
		n += len(f.objects.Object(key))
	}
	return n
}

func TestStatAndList(t *testing.T) {
	f := newFixture(t)
	whole := f.put(t, random(6, 100_000))
	recipe := recipeOf(t, random(7, 200_000))
	if err := f.PutRecipe(recipe); err != nil {
		t.Fatal(err)
	}
	want := map[chunk.Ref]blobs.Stat{
		whole:        {Ref: whole, Size: 100_000, State: blobs.Whole},
		recipe.Ref(): {Ref: recipe.Ref(), Size: 200_000, State: blobs.Partial},
	}
	got := make(map[chunk.Ref]blobs.Stat)
	if err := f.List(func(st blobs.Stat) error { got[st.Ref] = st; return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if _, err := f.Stat(chunk.Ref{}); !errors.Is(err, blobs.ErrNotFound) {
		t.Errorf("Stat of an unknown blob: %v", err)
	}
	for ref, want := range map[chunk.Ref]error{{}: blobs.ErrNotFound, recipe.Ref(): blobs.ErrPartial} {
		if _, err := f.Open(ref); !errors.Is(err, want) {
			t.Errorf("Open: %v, want %v", err, want)
		}
	}
}

func recipeOf(t testing.TB, data []byte) chunk.Recipe {
	t.Helper()
	var b chunk.Builder
	c := chunk.NewChunker(bytes.NewReader(data))
	for d, err := c.Next(); err == nil; d, err = c.Next() {
		if err := b.Add(chunk.Sum(d), len(d)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Recipe()
}

// reference: store-111 a blob that was not stored to its end is none.
func TestFailedPutLeavesNoBlob(t *testing.T) {
	broken := errors.New("broken")
	t.Run("reader", func(t *testing.T) {
		f := newFixture(t)
		r := io.MultiReader(bytes.NewReader(random(8, 20<<20)), iotest.ErrReader(broken))
		if _, _, err := f.PutBlob(t.Context(), r); !errors.Is(err, broken) {
			t.Errorf("got %v, want the reader's error", err)
		}
		checkNoBlobs(t, f)
	})
	for _, failing := range []int{1, 2, 3} {
		t.Run("object store", func(t *testing.T) {
			f := newFixture(t)
			n := 0
			f.objects.OnPut = func(context.Context, string) error {
				if n++; n == failing {
					return broken
				}
				return nil
			}
			data := random(9, 20<<20)
			if _, _, err := f.PutBlob(t.Context(), bytes.NewReader(data)); !errors.Is(err, broken) {
				t.Errorf("got %v, want the store's error", err)
			}
			checkNoBlobs(t, f)
			ref := f.put(t, data)
			if got, err := read(t, f.Store, ref, 0, 1<<62); err != nil || !bytes.Equal(got, data) {
				t.Errorf("put again and read: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestCancelledPutEnds(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.objects.OnPut = func(ctx context.Context, _ string) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if _, _, err := f.PutBlob(ctx, bytes.NewReader(random(10, 30<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	checkNoBlobs(t, f)
}

func checkNoBlobs(t *testing.T, f fixture) {
	t.Helper()
	if err := f.List(func(st blobs.Stat) error { t.Errorf("there is a blob: %+v", st); return nil }); err != nil {
		t.Error(err)
	}
}

func TestDamageIsNeverReturned(t *testing.T) {
	damages := map[string]func(data []byte) ([]byte, error){
		"flipped": func(d []byte) ([]byte, error) { d[len(d)/2] ^= 1; return d, nil },
		"short":   func(d []byte) ([]byte, error) { return d[:len(d)-1], nil },
		"long":    func(d []byte) ([]byte, error) { return append(d, 0), nil },
		"nothing": func([]byte) ([]byte, error) { return nil, nil },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			data := random(11, 5<<20)
			ref := f.put(t, data)
			f.objects.OnGet = func(_ context.Context, _ string, d []byte) ([]byte, error) { return damage(d) }
			got, err := read(t, f.Store, ref, 0, 1<<62)
			if !errors.Is(err, blobs.ErrCorrupt) || !bytes.HasPrefix(data, got) {
				t.Errorf("got %d bytes, %v; want a prefix and ErrCorrupt", len(got), err)
			}
		})
	}
}

func TestLostPackIsAnError(t *testing.T) {
	f := newFixture(t)
	ref := f.put(t, random(12, 1<<20))
	for _, key := range f.objects.Keys() {
		if err := f.objects.Delete(t.Context(), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := read(t, f.Store, ref, 0, 1<<62); !errors.Is(err, blobstest.ErrNoObject) || len(got) > 0 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestWriterErrorEndsTheRead(t *testing.T) {
	f := newFixture(t)
	r, err := f.Open(f.put(t, random(13, 9<<20)))
	if err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	_ = pr.Close()
	if n, err := r.WriteTo(t.Context(), pw, 0, 1<<62); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.WriteTo(ctx, io.Discard, 0, 1<<62); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestServe(t *testing.T) {
	f := newFixture(t)
	data := random(14, 2<<20)
	ref := f.put(t, data)
	var encoded []byte
	err := f.ServeRecipe(t.Context(), ref, func(part []byte) error { encoded = append(encoded, part...); return nil })
	if err != nil || chunk.Ref(chunk.Sum(encoded)) != ref {
		t.Fatalf("recipe of %d bytes, %v", len(encoded), err)
	}
	recipe, err := chunk.DecodeRecipe(encoded)
	if err != nil {
		t.Fatal(err)
	}
	asked, sent := []uint32{5, 3, 4, 0, 0, uint32(recipe.Len() - 1)}, []uint32(nil)
	err = f.ReadChunks(t.Context(), ref, asked, func(i uint32, got []byte) error {
		sent = append(sent, i)
		if want := data[recipe.Start(int(i)):][:recipe.Length(int(i))]; !bytes.Equal(got, want) {
			t.Errorf("chunk %d is wrong", i)
		}
		return nil
	})
	if diff := cmp.Diff(asked, sent); err != nil || diff != "" {
		t.Errorf("%v; order (-asked +sent):\n%s", err, diff)
	}
	never := func(uint32, []byte) error { t.Error("something was sent"); return nil }
	for name, bad := range map[string][]uint32{
		"beyond": {0, uint32(recipe.Len())}, "far beyond": {1<<32 - 1}, "too many": make([]uint32, blobs.MaxChunksPerRead+1),
	} {
		if err := f.ReadChunks(t.Context(), ref, bad, never); !errors.Is(err, blobs.ErrRange) {
			t.Errorf("%s: %v, want ErrRange", name, err)
		}
	}
	partial := recipeOf(t, random(15, 100))
	if err := f.PutRecipe(partial); err != nil {
		t.Fatal(err)
	}
	if err := f.ReadChunks(t.Context(), partial.Ref(), nil, never); !errors.Is(err, blobs.ErrPartial) {
		t.Errorf("chunks of a partial blob: %v", err)
	}
	if err := f.ServeRecipe(t.Context(), partial.Ref(), func([]byte) error { return nil }); !errors.Is(err, blobs.ErrPartial) {
		t.Errorf("recipe of a partial blob: %v", err)
	}
}

func TestLongRecipeIsStoredInPages(t *testing.T) {
	f := newFixture(t)
	var b chunk.Builder
	for i := range 20_000 {
		if err := b.Add(chunk.Sum(binary.BigEndian.AppendUint32(nil, uint32(i))), chunk.MinSize); err != nil {
			t.Fatal(err)
		}
	}
	want := b.Recipe()
	if err := f.PutRecipe(want); err != nil {
		t.Fatal(err)
	}
	got, err := blobs.New(f.kv, f.objects).Recipe(want.Ref())
	if err != nil || !bytes.Equal(got.Encoded(), want.Encoded()) {
		t.Errorf("read back: %v", err)
	}
	if err := f.Complete(want.Ref()); !errors.Is(err, blobs.ErrPartial) || !strings.Contains(err.Error(), "20000") {
		t.Errorf("Complete without chunks: %v", err)
	}
}
