package plug

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// benchRig runs a Host with one store for a benchmark.
func benchRig(b *testing.B, config storeConfig) (*Host, chan struct{}) {
	b.Helper()
	dir, err := os.MkdirTemp("", "plug")
	if err != nil {
		b.Fatal(err)
	}
	ready := make(chan struct{}, 100)
	h, err := New(Options{
		RunDir: filepath.Join(dir, "run"), DataDir: filepath.Join(dir, "data"),
		Events: Events{Ready: func(string) { ready <- struct{}{} }},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		os.RemoveAll(dir)
	})
	if err := h.SetInstances([]Instance{store("disk", "good", config)}); err != nil {
		b.Fatal(err)
	}
	<-ready
	return h, ready
}

// BenchmarkReplace is one new process in the place of another: start, handshake, configuration, swap.
func BenchmarkReplace(b *testing.B) {
	h, ready := benchRig(b, storeConfig{})
	in := store("disk", "good", storeConfig{})
	for i := 0; b.Loop(); i++ {
		in.Env = map[string]string{"ROUND": fmt.Sprint(i)}
		if err := h.SetInstances([]Instance{in}); err != nil {
			b.Fatal(err)
		}
		<-ready
	}
}

func BenchmarkUsage(b *testing.B) {
	h, _ := benchRig(b, storeConfig{})
	blobs := h.BlobStore("disk")
	for b.Loop() {
		if _, err := blobs.Usage(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

var benchSizes = []int{1 << 10, 64 << 10, 1 << 20, 16 << 20}

func BenchmarkPut(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h, _ := benchRig(b, storeConfig{})
			blobs, data := h.BlobStore("disk"), randomBytes(size)
			key := []byte("k")
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := blobs.Put(b.Context(), key, data); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := blobs.Delete(b.Context(), key); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h, _ := benchRig(b, storeConfig{})
			blobs, key := h.BlobStore("disk"), []byte("k")
			if err := blobs.Put(b.Context(), key, randomBytes(size)); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := blobs.Get(b.Context(), []Range{{Key: key}}, func(int, uint64, []byte) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
