package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// TestAgreesWithAMap does random operations on a store and on a map, with power losses and a failing object store in between:
// what PutBlob acknowledged must be there, and nothing else.
func TestAgreesWithAMap(t *testing.T) {
	base := random(1, 12<<20)
	rapid.Check(t, func(t *rapid.T) {
		fs, objects := kv.NewMemFS(), new(blobstest.Objects)
		store, err := kv.Open("db", kv.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		s := blobs.New(store, objects)
		model := make(map[chunk.Ref][]byte)
		for range rapid.IntRange(1, 12).Draw(t, "operations") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0: // power loss
				after := fs.CrashClone()
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				fs = after
				if store, err = kv.Open("db", kv.Options{FS: fs}); err != nil {
					t.Fatal(err)
				}
				s = blobs.New(store, objects)
			default:
				data := edited(t, base)
				failing := rapid.IntRange(1, 6).Draw(t, "failing put")
				objects.OnPut = func(context.Context, string) error {
					if failing--; failing == 0 {
						return errors.New("the object store fails")
					}
					return nil
				}
				if ref, _, err := s.PutBlob(context.Background(), bytes.NewReader(data)); err == nil {
					model[ref] = data
				}
			}
			checkModel(t, s, model)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// edited returns a part of base with something put into it.
func edited(t *rapid.T, base []byte) []byte {
	from := rapid.IntRange(0, len(base)).Draw(t, "from")
	to := rapid.IntRange(from, len(base)).Draw(t, "to")
	at := rapid.IntRange(from, to).Draw(t, "at")
	insert := random(rapid.Uint64Range(0, 3).Draw(t, "seed"), rapid.IntRange(0, 100_000).Draw(t, "insert"))
	return slices.Concat(base[from:at], insert, base[at:to])
}

func checkModel(t *rapid.T, s *blobs.Store, model map[chunk.Ref][]byte) {
	want, got := make(map[chunk.Ref]uint64), make(map[chunk.Ref]uint64)
	for ref, data := range model {
		want[ref] = uint64(len(data))
	}
	if err := s.List(func(st blobs.Stat) error { got[st.Ref] = st.Size; return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("blobs (-want +got):\n%s", diff)
	}
	for _, ref := range slices.Collect(maps.Keys(model)) {
		r, err := s.Open(ref)
		if err != nil {
			t.Fatal(err)
		}
		var read bytes.Buffer
		if _, err := r.WriteTo(context.Background(), &read, 0, r.Size()); err != nil || !bytes.Equal(read.Bytes(), model[ref]) {
			t.Fatalf("%v reads as %d bytes (%v), want %d", ref, read.Len(), err, len(model[ref]))
		}
	}
}
