package blobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

func TestFetchedChunksMakeABlobWhole(t *testing.T) {
	f := newFixture(t)
	data := random(1, 20<<20)
	recipe := recipeOf(t, data)
	if err := f.PutRecipe(recipe); err != nil {
		t.Fatal(err)
	}
	w := f.NewPackWriter(t.Context())
	for i := range recipe.Len() {
		d := data[recipe.Start(i):][:recipe.Length(i)]
		if err := w.Add(t.Context(), recipe.Hash(i), d); err != nil {
			t.Fatal(err)
		}
		if got, found := w.Get(recipe.Hash(i)); !found || !bytes.Equal(got, d) {
			t.Fatalf("chunk %d is not to be had before it is stored", i)
		}
	}
	if err := f.Complete(recipe.Ref()); !errors.Is(err, blobs.ErrPartial) {
		t.Errorf("Complete before the last pack: %v, want ErrPartial", err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Complete(recipe.Ref()); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, f.Store, recipe.Ref(), 0, 1<<62); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read: %d bytes, %v", len(got), err)
	}
}

func TestWrongChunkIsRefused(t *testing.T) {
	f := newFixture(t)
	w := f.NewPackWriter(t.Context())
	data := random(2, 50_000)
	for name, bad := range map[string][]byte{"other": random(3, 50_000), "cut": data[1:], "empty": nil, "long": make([]byte, chunk.MaxSize+1)} {
		if err := w.Add(t.Context(), chunk.Sum(data), bad); !errors.Is(err, blobs.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if err := w.Add(t.Context(), chunk.Sum(data), data); err != nil {
		t.Errorf("the right one after wrong ones: %v", err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := f.Has(chunk.Sum(data)); err != nil || !found {
		t.Errorf("Has = %v, %v", found, err)
	}
	if err := w.Add(t.Context(), chunk.Sum(data), data); err == nil {
		t.Error("Add after Close succeeded")
	}
}

func TestWriterIsDeadAfterAFailure(t *testing.T) {
	f := newFixture(t)
	broken := errors.New("no space")
	f.objects.OnPut = func(context.Context, string) error { return broken }
	w := f.NewPackWriter(t.Context())
	data := random(4, 50_000)
	if err := w.Add(t.Context(), chunk.Sum(data), data); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Flush(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Flush: %v", err)
		}
	}
	if err := w.Add(t.Context(), chunk.Sum(data), data); !errors.Is(err, broken) {
		t.Errorf("Add: %v", err)
	}
	if err := w.Close(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Close: %v", err)
	}
	if err := w.Add(t.Context(), chunk.Sum(data), data); !errors.Is(err, broken) {
		t.Errorf("Add after Close: %v", err)
	}
	if found, err := f.Has(chunk.Sum(data)); err != nil || found {
		t.Errorf("a chunk that was not stored is in the index: %v, %v", found, err)
	}
}

// TestCrashLeavesWhatWasAcknowledged cuts the power at every write of the object store, with and without the object
// having reached it.
func TestCrashLeavesWhatWasAcknowledged(t *testing.T) {
	data := random(5, 30<<20)
	recipe := recipeOf(t, data)
	for crash := 1; crash <= 4; crash++ {
		t.Run(fmt.Sprint(crash), func(t *testing.T) {
			fs := kv.NewMemFS()
			store, err := kv.Open("db", kv.Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			var after *kv.MemFS
			n := 0
			objects := &blobstest.Objects{OnPut: func(context.Context, string) error {
				if n++; n == crash {
					after = fs.CrashClone()
				}
				return nil
			}}
			ref, _, err := blobs.New(store, objects).PutBlob(t.Context(), bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			whole := fs.CrashClone()
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			checkAfterCrash(t, after, objects, func(s *blobs.Store) {
				missing, err := s.Missing(recipe)
				if err != nil {
					t.Fatal(err)
				}
				have := recipe.Len() - len(missing)
				if least := (crash - 1) * recipe.Len() / 4; have < least-2*crash {
					t.Errorf("crash at pack %d: %d of %d chunks are left", crash, have, recipe.Len())
				}
				if _, err := s.Open(ref); !errors.Is(err, blobs.ErrNotFound) {
					t.Errorf("Open after the crash: %v, want ErrNotFound", err)
				}
				for i := range recipe.Len() {
					d, err := s.ReadChunk(t.Context(), recipe, i)
					if err == nil && !bytes.Equal(d, data[recipe.Start(i):][:recipe.Length(i)]) || err != nil && !errors.Is(err, blobs.ErrNotFound) {
						t.Fatalf("chunk %d: %v", i, err)
					}
				}
			})
			checkAfterCrash(t, whole, objects, func(s *blobs.Store) {
				if got, err := read(t, s, ref, 0, 1<<62); err != nil || !bytes.Equal(got, data) {
					t.Errorf("crash after PutBlob had returned: %d bytes, %v", len(got), err)
				}
			})
		})
	}
}

func checkAfterCrash(t *testing.T, fs *kv.MemFS, objects *blobstest.Objects, check func(*blobs.Store)) {
	t.Helper()
	store, err := kv.Open("db", kv.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	check(blobs.New(store, objects))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}
