package blobstorefs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// listKeys keeps the number of durable puts low; the order over several pages is checked with the sdk's own store.
const listKeys = 200

// places are the ways to run the plugin that every test of the whole plugin goes through.
var places = map[string]func(testing.TB, plugintest.Options) *plugintest.Running{
	"in process": func(t testing.TB, opts plugintest.Options) *plugintest.Running {
		return plugintest.InProcess(t, Kind(), opts)
	},
	"subprocess": func(t testing.TB, opts plugintest.Options) *plugintest.Running {
		return plugintest.Subprocess(t, exec.Command(os.Args[0]), opts)
	},
}

func TestContract(t *testing.T) {
	for name, start := range places {
		t.Run(name, func(t *testing.T) {
			opts := plugintest.Options{Config: Config{Root: t.TempDir() + "/store"}}
			running := start(t, opts)
			small := start(t, plugintest.Options{Config: Config{MaxBytes: 20 << 20}})
			blobstoretest.Run(t, running.Conn, blobstoretest.Options{
				Features: []string{blobstore.LocalFiles},
				Small:    small.Conn,
				ListKeys: listKeys,
				Reopen: func(ctx context.Context) (grpc.ClientConnInterface, error) {
					if err := running.Drain(ctx, 100*time.Millisecond); err != nil {
						return nil, err
					}
					running = start(t, opts)
					return running.Conn, nil
				},
			})
		})
	}
}

// TestOneProcessPerRoot starts a second plugin on the same root.
func TestOneProcessPerRoot(t *testing.T) {
	for name, start := range places {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			start(t, plugintest.Options{Config: Config{Root: root}})
			second, err := plugintest.Serve(Plugin("test"), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer second.Stop()
			if err := second.Configure(t.Context(), plugintest.Options{Config: Config{Root: root}}); err == nil {
				t.Error("two plugins share a root")
			}
		})
	}
}

func TestReconfigure(t *testing.T) {
	root := t.TempDir()
	running := plugintest.InProcess(t, Kind(), plugintest.Options{DataDir: root})
	ctx := t.Context()
	if err := running.Configure(ctx, plugintest.Options{DataDir: root, Config: Config{MaxBytes: 5}}); err != nil {
		t.Fatalf("another limit: %v", err)
	}
	usage, err := blobstore.NewClient(running.Conn).Usage(ctx)
	if err != nil || usage.Available != 5 {
		t.Errorf("usage %+v, %v; want 5 bytes available", usage, err)
	}
	if err := running.Configure(ctx, plugintest.Options{DataDir: t.TempDir()}); err != plugin.ErrRestartRequired {
		t.Errorf("another root: %v, want ErrRestartRequired", err)
	}
}

// TestNothingLeaks opens, uses and drains the plugin in process and counts descriptors; goleak counts goroutines.
func TestNothingLeaks(t *testing.T) {
	const proc = "/proc/self/fd"
	count := func() int {
		entries, err := os.ReadDir(proc)
		if errors.Is(err, fs.ErrNotExist) {
			return 0 // not on this system
		}
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	cycle := func(name string) {
		t.Run(name, func(t *testing.T) {
			running := plugintest.InProcess(t, Kind(), plugintest.Options{})
			opts := blobstoretest.Options{Only: []string{"sizes around frames", "ranges", "cancelled gets", "cancelled put"}}
			blobstoretest.Run(t, running.Conn, opts)
		})
	}
	cycle("first") // opens what stays open for the process, such as the poller
	before := count()
	cycle("second")
	if after := count(); after > before {
		t.Errorf("%d descriptors are open, before it were %d", after, before)
	}
}
