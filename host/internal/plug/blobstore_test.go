package plug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func randomBytes(n int) []byte {
	data := make([]byte, n)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(data)
	return data
}

func TestBlobStoreRoundTrips(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	blobs := r.BlobStore("disk")
	for _, size := range []int{0, 1, maxFrame - 1, maxFrame, maxFrame + 1, 17 << 20} {
		key, data := fmt.Appendf(nil, "size-%d", size), randomBytes(size)
		if err := blobs.Put(r.context(), key, data); err != nil {
			t.Fatal(err)
		}
		if err := blobs.Put(r.context(), key, []byte("other")); err != nil {
			t.Errorf("put of an existing key: %v", err)
		}
		got, err := blobs.Read(r.context(), key, 0, 0)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("size %d: %d bytes, %v", size, len(got), err)
		}
		if size > 10 {
			got, err := blobs.Read(r.context(), key, uint64(size-10), 5)
			if err != nil || !bytes.Equal(got, data[size-10:size-5]) {
				t.Errorf("part of %d: %d bytes, %v", size, len(got), err)
			}
		}
	}
	entries, err := blobs.Stat(r.context(), []byte("size-1"), []byte("nothing"))
	want := []Entry{{Key: []byte("size-1"), Size: 1}, {Key: []byte("nothing"), Missing: true}}
	if diff := cmp.Diff(want, entries); diff != "" || err != nil {
		t.Errorf("stat: %v %s", err, diff)
	}
	if err := blobs.Delete(r.context(), []byte("size-1"), []byte("nothing")); err != nil {
		t.Error(err)
	}
	var keys []string
	err = blobs.List(r.context(), []byte("size-"), []byte("size-1"), func(e Entry) error {
		keys = append(keys, string(e.Key))
		return nil
	})
	wantKeys := []string{"size-17825792", "size-262143", "size-262144", "size-262145"}
	if diff := cmp.Diff(wantKeys, keys); diff != "" || err != nil {
		t.Errorf("list: %v %s", err, diff)
	}
	usage, err := blobs.Usage(r.context())
	if diff := cmp.Diff(Usage{Objects: 1, Bytes: 2}, usage); diff != "" || err != nil {
		t.Errorf("usage: %v %s", err, diff)
	}
}

func TestBlobStoreErrors(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	blobs := r.BlobStore("disk")
	if err := blobs.Put(r.context(), []byte("k"), []byte("12345")); err != nil {
		t.Fatal(err)
	}
	read := func(key string, offset uint64) error {
		_, err := blobs.Read(r.context(), []byte(key), offset, 0)
		return err
	}
	for _, tc := range []struct {
		name string
		err  error
		want error
	}{
		{"missing", read("missing", 0), ErrNotFound},
		{"corrupt", read("corrupt", 0), ErrCorrupt},
		{"past the end", read("k", 9), ErrRange},
		{"full", blobs.Put(r.context(), []byte("full"), nil), ErrFull},
		{"full, many frames", blobs.Put(r.context(), []byte("full"), make([]byte, 10<<20)), ErrFull},
		{"transient", blobs.Put(r.context(), []byte("abort"), nil), ErrTransient},
		{"unknown instance", r.BlobStore("tape").Put(r.context(), []byte("k"), nil), ErrUnknown},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, tc.err, tc.want)
		}
	}
	if err := read("missing", 0); !strings.HasPrefix(err.Error(), "blobstore(disk): get: ") {
		t.Errorf("error %q does not say where it comes from", err)
	}
	for name, err := range map[string]error{
		"empty key":    blobs.Put(r.context(), nil, nil),
		"long key":     blobs.Put(r.context(), make([]byte, 129), nil),
		"large object": blobs.Put(r.context(), []byte("k"), make([]byte, MaxObjectSize+1)),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	stop := errors.New("stop")
	if err := blobs.List(r.context(), nil, nil, func(Entry) error { return stop }); err != stop {
		t.Errorf("list: got %v, want the visitor's error", err)
	}
	canceled, cancel := context.WithCancel(r.context())
	cancel()
	if err := blobs.Put(canceled, []byte("k"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
}

// One failing range does not keep the others from being read.
func TestGetGoesOnAfterAFailedRange(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	blobs := r.BlobStore("disk")
	if err := blobs.Put(r.context(), []byte("k"), []byte("12345")); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := blobs.Get(r.context(), []Range{{Key: []byte("k")}, {Key: []byte("missing")}, {Key: []byte("k"), Offset: 1, Length: 2}},
		func(i int, offset uint64, data []byte) error {
			got = append(got, fmt.Sprintf("%d@%d:%s", i, offset, data))
			return nil
		})
	if diff := cmp.Diff([]string{"0@0:12345", "2@1:23"}, got); diff != "" {
		t.Error(diff)
	}
	var item *ItemError
	if !errors.As(err, &item) || item.Index != 1 || !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// A plugin that crashes in the middle of a read: the caller sees every byte once.
func TestGetResumesAfterACrash(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{CrashOnGet: true}))
	blobs := r.BlobStore("disk")
	data := randomBytes(3<<20 + 7)
	for _, key := range []string{"a", "b"} {
		if err := blobs.Put(r.context(), []byte(key), data); err != nil {
			t.Fatal(err)
		}
	}
	got := make([][]byte, 3)
	ranges := []Range{{Key: []byte("a"), Offset: 7}, {Key: []byte("b"), Offset: 1, Length: 2 << 20}, {Key: []byte("b")}}
	err := blobs.Get(r.context(), ranges, func(i int, offset uint64, part []byte) error {
		if want := ranges[i].Offset + uint64(len(got[i])); offset != want {
			t.Errorf("range %d goes on at %d, want %d", i, offset, want)
		}
		got[i] = append(got[i], part...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{data[7:], data[1 : 1+2<<20], data} {
		if !bytes.Equal(got[i], want) {
			t.Errorf("range %d: %d bytes, want %d", i, len(got[i]), len(want))
		}
	}
	if st := r.status("disk"); st.Restarts != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestListResumesAfterACrash(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	blobs := r.BlobStore("disk")
	const objects = 2500
	for i := range objects {
		if err := blobs.Put(r.context(), fmt.Appendf(nil, "%05d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	next := 0
	err := blobs.List(r.context(), nil, nil, func(e Entry) error {
		if want := fmt.Sprintf("%05d", next); string(e.Key) != want {
			t.Fatalf("got %q, want %q", e.Key, want)
		}
		if next++; next == 1500 {
			return syscall.Kill(r.status("disk").PID, syscall.SIGKILL)
		}
		return nil
	})
	if err != nil || next != objects {
		t.Errorf("%d of %d objects, %v", next, objects, err)
	}
}

// Puts that are under way when the process is killed are repeated; what was acknowledged is there.
func TestPutSurvivesKills(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	blobs := r.BlobStore("disk")
	data := randomBytes(8 << 20)
	var done atomic.Int32
	results := make(chan error, 16)
	for i := range 16 {
		go func() {
			results <- blobs.Put(r.context(), fmt.Appendf(nil, "k%d", i), data)
			done.Add(1)
		}()
	}
	until(t, "the first objects", func() bool { return done.Load() >= 3 })
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for i := range 16 {
		got, err := blobs.Read(r.context(), fmt.Appendf(nil, "k%d", i), 0, 0)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("object %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// A call to an instance that never gets ready ends with its deadline and says why.
func TestCallWithoutPluginSaysWhy(t *testing.T) {
	down := make(chan struct{}, 100)
	r := newRig(t, func(o *Options) { o.Events.Down = func(string, string) { down <- struct{}{} } })
	r.set(store("disk", "exit3", storeConfig{}))
	<-down
	ctx, cancel := context.WithTimeout(context.Background(), 50*1e6)
	defer cancel()
	err := r.BlobStore("disk").Put(ctx, []byte("k"), nil)
	if !errors.Is(err, ErrDown) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	r.stop()
	if err := r.BlobStore("disk").Put(r.context(), []byte("k"), nil); !errors.Is(err, ErrDown) {
		t.Errorf("after the stop: got %v", err)
	}
}
