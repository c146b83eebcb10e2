package blobs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// directory is an object store that syncs files, the least that a real one does.
type directory string

func (d directory) Put(_ context.Context, key, data []byte) error {
	f, err := os.Create(filepath.Join(string(d), filepath.Base(string(key))))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func (d directory) Get(_ context.Context, key []byte, offset, length uint64) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(d), filepath.Base(string(key))))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, length)
	_, err = f.ReadAt(data, int64(offset))
	return data, err
}

func (d directory) Delete(context.Context, ...[]byte) error { return nil }

func benchmarkStore(b *testing.B, objects blobs.Objects) *blobs.Store {
	store, err := kv.Open(filepath.Join(b.TempDir(), "kv"), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return blobs.New(store, objects)
}

const benchmarkSize = 64 << 20

func benchmarkPut(b *testing.B, objects blobs.Objects) {
	s := benchmarkStore(b, objects)
	data := random(1, benchmarkSize)
	b.SetBytes(benchmarkSize)
	for i := 0; b.Loop(); i++ {
		for at := 0; at < len(data); at += 8 << 10 { // new content in every chunk
			data[at] ^= byte(i + 1)
		}
		if _, _, err := s.PutBlob(b.Context(), bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

// nowhere forgets what it is given.
type nowhere struct{ directory }

func (nowhere) Put(context.Context, []byte, []byte) error { return nil }

func BenchmarkPutNowhere(b *testing.B)   { benchmarkPut(b, nowhere{}) }
func BenchmarkPutDirectory(b *testing.B) { benchmarkPut(b, directory(b.TempDir())) }

func BenchmarkPutSmall(b *testing.B) {
	s := benchmarkStore(b, nowhere{})
	i := 0
	for b.Loop() {
		if _, _, err := s.PutBlob(b.Context(), bytes.NewReader(fmt.Appendf(nil, "blob %d", i))); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkRead(b *testing.B) {
	s := benchmarkStore(b, new(blobstest.Objects))
	ref, _, err := s.PutBlob(b.Context(), bytes.NewReader(random(1, benchmarkSize)))
	if err != nil {
		b.Fatal(err)
	}
	r, err := s.Open(ref)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchmarkSize)
	for b.Loop() {
		if _, err := r.WriteTo(b.Context(), io.Discard, 0, benchmarkSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefs(b *testing.B) {
	for name, value := range map[string][]byte{
		"none": []byte(`{"name":"Zürich","country":"CH","population":436332,"tags":["city","lake"]}`),
		"one":  at(`{"name":"Zürich","photo":$a$,"population":436332,"tags":["city","lake"]}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				blobs.Refs(value)
			}
		})
	}
}
