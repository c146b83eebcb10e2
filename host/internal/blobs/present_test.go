package blobs

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// keeping never writes an object that it has.
type keeping struct{ *blobstest.Objects }

func (k keeping) Put(ctx context.Context, key, data []byte) error {
	if slices.Contains(k.Keys(), string(key)) {
		return nil
	}
	return k.Objects.Put(ctx, key, data)
}

// TestPutOfWhatWasLost: a blob that is put is readable afterwards, whatever has become of the packs that its chunks were in.
func TestPutOfWhatWasLost(t *testing.T) {
	content := make([]byte, 3<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(content)
	for what, harm := range map[string]func(t *testing.T, o *blobstest.Objects, key string){
		"gone": func(t *testing.T, o *blobstest.Objects, key string) {
			if err := o.Delete(t.Context(), []byte(key)); err != nil {
				t.Fatal(err)
			}
		},
		"cut short": func(t *testing.T, o *blobstest.Objects, key string) {
			half := o.Object(key)[:len(o.Object(key))/2]
			if err := o.Put(t.Context(), []byte(key), half); err != nil {
				t.Fatal(err)
			}
		},
		"changed": func(_ *testing.T, o *blobstest.Objects, key string) {
			data := o.Object(key)
			for i := 0; i < len(data); i += 1 << 10 {
				data[i]++
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			store, err := kv.OpenMem()
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			objects := &blobstest.Objects{}
			s := New(store, keeping{objects})
			ref, _, err := s.PutBlob(t.Context(), bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			gets := objects.Gets()
			if _, _, err := s.PutBlob(t.Context(), bytes.NewReader(content)); err != nil || objects.Gets() != gets+len(objects.Keys()) {
				t.Fatalf("put again: %v, %d reads for %d packs", err, objects.Gets()-gets, len(objects.Keys()))
			}
			for _, key := range objects.Keys() {
				harm(t, objects, key)
			}
			r, err := s.Open(ref)
			if err != nil {
				t.Fatal(err)
			}
			read := func() error {
				var got bytes.Buffer
				if _, err := r.WriteTo(t.Context(), &got, 0, r.Size()); err != nil {
					return err
				}
				if !bytes.Equal(got.Bytes(), content) {
					return errors.New("it is another one")
				}
				return nil
			}
			if err := read(); err == nil {
				t.Fatal("it can be read although its pack is not as it was")
			}
			if _, _, err := s.PutBlob(t.Context(), bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			if err := read(); err != nil {
				t.Errorf("a put that was acknowledged cannot be read: %v", err)
			}
		})
	}
}
