package blobstore_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// TestMain makes the test binary serve as the plugin when a benchmark starts it as one.
func TestMain(m *testing.M) {
	if plugin.IsPlugin() {
		plugin.Main("discard", "test", discardKind())
	}
	goleak.VerifyTestMain(m)
}

// discard stores nothing and reads zeros, so that a benchmark sees the way to the plugin alone.
type discard struct{ blobstoretest.Memory }

func discardKind() plugin.Kind {
	return blobstore.Kind(func(context.Context, plugin.Setup) (blobstore.Store, error) { return &discard{}, nil })
}

const benchObject = 64 << 20

func (*discard) Put(_ context.Context, _ blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
	_, err := io.Copy(io.Discard, r)
	return blobstore.Stored, err
}

func (*discard) Open(context.Context, blobstore.Key, int64, int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(zeros{}), benchObject, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// BenchmarkHop measures what the way to a plugin costs, with the default frames of 256 KiB.
func BenchmarkHop(b *testing.B) {
	for name, start := range map[string]func(b *testing.B) *plugintest.Running{
		"inprocess": func(b *testing.B) *plugintest.Running {
			return plugintest.InProcess(b, discardKind(), plugintest.Options{})
		},
		"subprocess": func(b *testing.B) *plugintest.Running {
			return plugintest.Subprocess(b, exec.Command(os.Args[0]), plugintest.Options{})
		},
	} {
		b.Run(name+"/put", func(b *testing.B) { benchPut(b, blobstore.NewClient(start(b).Conn), benchObject) })
		b.Run(name+"/get", func(b *testing.B) { benchGet(b, blobstore.NewClient(start(b).Conn)) })
		b.Run(name+"/put1KiB", func(b *testing.B) { benchPut(b, blobstore.NewClient(start(b).Conn), 1<<10) })
		b.Run(name+"/stat", func(b *testing.B) { benchStat(b, blobstore.NewClient(start(b).Conn)) })
	}
}

func benchPut(b *testing.B, client *blobstore.Client, size int64) {
	up, err := client.Upload(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	b.SetBytes(size)
	answers := make(chan error, 1)
	b.ResetTimer()
	go func() {
		for range b.N {
			if _, err := up.Answer(); err != nil {
				answers <- err
				return
			}
		}
		answers <- nil
	}()
	for range b.N {
		if err := up.Send(blobstore.Object{Key: "k", Size: size}, io.LimitReader(zeros{}, size)); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-answers; err != nil {
		b.Fatal(err)
	}
}

func benchGet(b *testing.B, client *blobstore.Client) {
	b.SetBytes(benchObject)
	for b.Loop() {
		r, _, err := client.Open(b.Context(), "k", 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			b.Fatal(err)
		}
		_ = r.Close()
	}
}

func benchStat(b *testing.B, client *blobstore.Client) {
	for b.Loop() {
		if _, err := client.Stat(b.Context(), "k"); blobstore.Code(err) == 0 {
			b.Fatal("stat of an absent object succeeded")
		}
	}
}
