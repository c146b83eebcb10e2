package blobstorefs

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// BenchmarkPut measures durable puts by the store itself, one after the other and several at once.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int64{4 << 10, 1 << 20, 16 << 20} {
		data := make([]byte, size)
		b.Run(fmt.Sprintf("%dKiB/alone", size>>10), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Options{})
			b.SetBytes(size)
			for i := 0; b.Loop(); i++ {
				benchPut(b, s, fmt.Sprint(i), data)
			}
		})
		b.Run(fmt.Sprintf("%dKiB/parallel", size>>10), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Options{})
			b.SetBytes(size)
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					benchPut(b, s, fmt.Sprintf("%p/%d", pb, i), data)
				}
			})
		})
	}
}

// benchPut puts and removes an object, so that long runs do not fill the disk; removing costs a sync too.
func benchPut(b *testing.B, s *Store, key string, data []byte) {
	object := blobstore.Object{Key: blobstore.Key(key), Size: int64(len(data))}
	if _, err := s.Put(b.Context(), object, bytes.NewReader(data)); err != nil {
		b.Error(err)
	}
	if err := s.Delete(b.Context(), object.Key); err != nil {
		b.Error(err)
	}
}

func BenchmarkGet(b *testing.B) {
	s := openStore(b, b.TempDir(), Options{})
	data := make([]byte, 16<<20)
	put(b, s, "k", data)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, _, err := s.Open(b.Context(), "k", 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
