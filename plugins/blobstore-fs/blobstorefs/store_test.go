package blobstorefs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

func openStore(t testing.TB, root string, opts Options) *Store {
	t.Helper()
	s, err := Open(root, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func put(t testing.TB, s *Store, key blobstore.Key, data []byte) {
	t.Helper()
	outcome, err := s.Put(context.Background(), blobstore.Object{Key: key, Size: int64(len(data))}, bytes.NewReader(data))
	if err != nil || outcome != blobstore.Stored {
		t.Fatalf("put %q: outcome %d, %v", key, outcome, err)
	}
}

func keysOf(t testing.TB, s *Store, batch int) []blobstore.Key {
	t.Helper()
	var keys []blobstore.Key
	for info, err := range s.list(context.Background(), "", "", batch) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func TestNamesKeepOrderAndComeBack(t *testing.T) {
	key := rapid.Custom(func(t *rapid.T) blobstore.Key {
		return blobstore.Key(rapid.SliceOfN(rapid.Byte(), 1, blobstore.MaxKeyBytes).Draw(t, "key"))
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		if strings.Compare(string(a), string(b)) != strings.Compare(nameOf(a), nameOf(b)) {
			t.Fatalf("%x and %x: names %s and %s are in another order", a, b, nameOf(a), nameOf(b))
		}
		if back, err := keyOf(nameOf(a)); err != nil || back != a {
			t.Fatalf("%x came back as %x, %v", a, back, err)
		}
		if n := len(nameOf(a)); n > 255 {
			t.Fatalf("file name of %d characters", n)
		}
	})
}

func FuzzKeyOf(f *testing.F) {
	for _, name := range []string{"", "c4", "C4", "c5", "../x", "0", strings.Repeat("v", 206)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if key, err := keyOf(name); err == nil && nameOf(key) != name {
			t.Errorf("%q was read as %x, whose name is %q", name, key, nameOf(key))
		}
	})
}

// TestListInBatches makes lists take several passes over the directories.
func TestListInBatches(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	want := map[blobstore.Key]bool{}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		key := blobstore.Key(fmt.Sprintf("%x", rng.Uint32N(1<<20)))
		if !want[key] {
			put(t, s, key, nil)
			want[key] = true
		}
	}
	for _, batch := range []int{1, 7, 299, 300, 1000} {
		if got := keysOf(t, s, batch); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("in batches of %d: %d keys, want %d in order", batch, len(got), len(want))
		}
	}
}

func TestReopenCountsAndSweeps(t *testing.T) {
	root := t.TempDir()
	s := openStore(t, root, Options{})
	put(t, s, "a", make([]byte, 100))
	put(t, s, "b", make([]byte, 23))
	put(t, s, "c", make([]byte, 1000))
	if err := s.Delete(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	want := blobstore.Usage{Objects: 2, Bytes: 123}
	check := func(s *Store) {
		t.Helper()
		got, err := s.Usage(t.Context())
		if got.Available = 0; err != nil || got != want {
			t.Errorf("usage %+v, %v; want %+v", got, err, want)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(root, tmpName, "put-123")
	stray := filepath.Join(root, objectsName, "00", "not an object!")
	for _, path := range []string{left, stray} {
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = openStore(t, root, Options{})
	check(s)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an unfinished put is still there: %v", err)
	}
	if got := keysOf(t, s, 10); !slices.Equal(got, []blobstore.Key{"a", "b"}) {
		t.Errorf("list: %q", got)
	}
}

func TestRootsThatAreRefused(t *testing.T) {
	write := func(name, text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, root := range map[string]string{
		"other files":  write("holiday.jpg", "x"),
		"newer format": write(formatName, "syncbase-blobstore-fs 2\n"),
		"other format": write(formatName, "something else\n"),
		"empty format": write(formatName, ""),
		"a file":       filepath.Join(write("file", "x"), "file"),
	} {
		_, err := Open(root, Options{})
		var fault *plugin.ConfigError
		if !errors.As(err, &fault) || fault.Path != "/root" {
			t.Errorf("%s: %v, want a fault of /root", name, err)
		}
	}
	root := t.TempDir()
	openStore(t, root, Options{})
	if _, err := Open(root, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second open: %v, want ErrLocked", err)
	}
}

// TestInterruptedCreation finishes what an earlier start has begun.
func TestInterruptedCreation(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(root, tmpName), 0o700),
		os.WriteFile(filepath.Join(root, tmpName, formatName), nil, 0o600),
		os.MkdirAll(filepath.Join(root, objectsName, "00"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	put(t, openStore(t, root, Options{}), "key", []byte("value"))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestFailedPutLeavesNothing(t *testing.T) {
	s := openStore(t, t.TempDir(), Options{})
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"disk full": {&os.PathError{Op: "write", Err: syscall.ENOSPC}, blobstore.ErrFull},
		"quota":     {&os.PathError{Op: "write", Err: syscall.EDQUOT}, blobstore.ErrFull},
		"stream":    {context.Canceled, context.Canceled},
	} {
		_, err := s.Put(t.Context(), blobstore.Object{Key: "k", Size: 1}, failing{c.err})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Put(t.Context(), blobstore.Object{Key: "k", Size: 5}, strings.NewReader("four")); !errors.Is(err, blobstore.ErrCorrupt) {
		t.Errorf("short reader: %v, want ErrCorrupt", err)
	}
	if got := keysOf(t, s, 10); len(got) > 0 {
		t.Errorf("list: %q", got)
	}
	entries, err := os.ReadDir(filepath.Join(s.root, tmpName))
	if err != nil || len(entries) > 0 {
		t.Errorf("tmp holds %v, %v", entries, err)
	}
}

func TestValidate(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                          "",
		`{"root":"/x","max_bytes":5}`: "",
		`{"root":"relative"}`:         "/root",
		`{"rot":"/x"}`:                "/rot",
		`{"max_bytes":-1}`:            "/max_bytes",
		`{"max_bytes":"5 GB"}`:        "/max_bytes",
	} {
		err := Plugin("test").CheckConfig([]byte(config))
		var fault *plugin.ConfigError
		if errors.As(err, &fault) != (want != "") || (fault != nil && fault.Path != want) {
			t.Errorf("%s: %v, want a fault at %q", config, err, want)
		}
	}
}

// TestKilledInPut kills the process in the middle of puts. Whatever is listed afterwards must be whole, whatever was
// acknowledged must be there, and the rest can be put again.
func TestKilledInPut(t *testing.T) {
	opts := plugintest.Options{Config: Config{Root: t.TempDir()}}
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i * 7)
	}
	sum := sha256.Sum256(data)
	object := func(i int) blobstore.Object {
		return blobstore.Object{Key: blobstore.Key(fmt.Sprintf("%04d", i)), Size: int64(len(data)), SHA256: sum[:]}
	}
	next := 0
	for range 5 {
		running := plugintest.Subprocess(t, exec.Command(os.Args[0]), opts)
		up, err := blobstore.NewClient(running.Conn).Upload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		answers := make(chan struct{})
		go func() {
			defer close(answers)
			for {
				if _, err := up.Answer(); err != nil {
					return
				}
				if acknowledged++; acknowledged == 3 {
					_ = running.Stop()
				}
			}
		}()
		first := next
		for ; up.Send(object(next), bytes.NewReader(data)) == nil; next++ {
		}
		<-answers
		up.Close()
		if acknowledged < 3 {
			t.Fatalf("only %d answers before the end", acknowledged)
		}
		verifyAll(t, opts, data, object, first, acknowledged)
	}
}

// verifyAll starts the plugin again and reads everything.
func verifyAll(t *testing.T, opts plugintest.Options, data []byte, object func(int) blobstore.Object, first, acknowledged int) {
	t.Helper()
	running := plugintest.Subprocess(t, exec.Command(os.Args[0]), opts)
	client := blobstore.NewClient(running.Conn)
	present := map[blobstore.Key]bool{}
	for info, err := range client.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		present[info.Key] = true
		if got := readAll(t, client, info.Key); !bytes.Equal(got, data) {
			t.Errorf("object %q has %d bytes, or others", info.Key, len(got))
		}
	}
	for i := first; i < first+acknowledged; i++ {
		if !present[object(i).Key] {
			t.Errorf("object %q was acknowledged and is gone", object(i).Key)
		}
	}
	if _, err := client.Put(t.Context(), object(first+acknowledged), bytes.NewReader(data)); err != nil {
		t.Errorf("put again: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := running.Drain(ctx, time.Second); err != nil {
		t.Error(err)
	}
	if err := running.Stop(); err != nil {
		t.Error(err)
	}
}

func readAll(t testing.TB, client *blobstore.Client, key blobstore.Key) []byte {
	t.Helper()
	r, _, err := client.Open(t.Context(), key, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
