package blobs

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Verify names exactly the blobs of which a byte is not what it was, whose pack is cut short or gone, and goes on with the rest;
// what it named is whole again when it is put again.
func TestVerifyNamesDamagedBlobs(t *testing.T) {
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	objects := &blobstest.Objects{}
	s := New(store, objects)
	random := rand.NewChaCha8([32]byte{1})
	content, refs, packs := map[chunk.Ref][]byte{}, []chunk.Ref{}, map[chunk.Ref]string{}
	for range 4 {
		data := make([]byte, 100<<10)
		_, _ = random.Read(data)
		before := map[string]bool{}
		for _, key := range objects.Keys() {
			before[key] = true
		}
		ref, _, err := s.PutBlob(t.Context(), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range objects.Keys() {
			if !before[key] {
				packs[ref] = key
			}
		}
		refs, content[ref] = append(refs, ref), data
	}
	opts := VerifyOptions{Lost: func(err error) bool { return errors.Is(err, blobstest.ErrNoObject) }}
	verify := func(want ...chunk.Ref) {
		t.Helper()
		found := map[chunk.Ref]error{}
		size := uint64(0)
		opts.Verified = func(_ int, n uint64) { size = n }
		if err := s.Verify(t.Context(), opts, func(ref chunk.Ref, why error) { found[ref] = why }); err != nil {
			t.Fatal(err)
		}
		for _, ref := range want {
			if found[ref] == nil {
				t.Errorf("%v is damaged, and not named", ref)
			}
		}
		if len(found) != len(want) || size < uint64(len(refs)-len(want))*100<<10 {
			t.Errorf("%d bytes were read; named are %v, want %v", size, found, want)
		}
	}
	verify()
	objects.Object(packs[refs[0]])[50<<10]++ // the length is as it was
	half := objects.Object(packs[refs[1]])[:50<<10]
	if err := errors.Join(objects.Put(t.Context(), []byte(packs[refs[1]]), half), objects.Delete(t.Context(), []byte(packs[refs[2]]))); err != nil {
		t.Fatal(err)
	}
	verify(refs[:3]...)
	for _, ref := range refs[:3] {
		if _, _, err := s.PutBlob(t.Context(), bytes.NewReader(content[ref])); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	down := errors.New("the object store is away")
	objects.OnGet = func(context.Context, string, []byte) ([]byte, error) { return nil, down }
	if err := s.Verify(t.Context(), opts, func(ref chunk.Ref, why error) { t.Errorf("%v: %v", ref, why) }); !errors.Is(err, down) {
		t.Errorf("an object store that does not answer: %v", err)
	}
}
