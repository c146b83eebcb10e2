package blobstoretest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// faulty is a store with one mistake, made by the functions that are set.
type faulty struct {
	*blobstoretest.Memory
	put  func(ctx context.Context, m *blobstoretest.Memory, o blobstore.Object, r io.Reader) (blobstore.Outcome, error)
	open func(ctx context.Context, m *blobstoretest.Memory, key blobstore.Key, offset int64) (io.ReadCloser, int64, error)
	list func(infos []blobstore.Info) []blobstore.Info
}

func (f faulty) Put(ctx context.Context, o blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
	if f.put == nil {
		return f.Memory.Put(ctx, o, r)
	}
	return f.put(ctx, f.Memory, o, r)
}

func (f faulty) Open(ctx context.Context, key blobstore.Key, offset, length int64) (io.ReadCloser, int64, error) {
	if f.open == nil {
		return f.Memory.Open(ctx, key, offset, length)
	}
	return f.open(ctx, f.Memory, key, offset)
}

func (f faulty) List(ctx context.Context, prefix, after blobstore.Key) iter.Seq2[blobstore.Info, error] {
	var infos []blobstore.Info
	for info := range f.Memory.List(ctx, prefix, after) {
		infos = append(infos, info)
	}
	if f.list != nil {
		infos = f.list(infos)
	}
	return func(yield func(blobstore.Info, error) bool) {
		for _, info := range infos {
			if !yield(info, nil) {
				return
			}
		}
	}
}

// TestKitFindsMistakes runs the kit against stores that each break one clause, and wants the check that is about it to
// fail.
func TestKitFindsMistakes(t *testing.T) {
	for _, c := range []struct {
		mistake string
		store   faulty
		check   string
	}{
		{"overwrites", faulty{put: func(ctx context.Context, m *blobstoretest.Memory, o blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
			data, err := io.ReadAll(r)
			if err != nil {
				return 0, err
			}
			return blobstore.Stored, errors.Join(m.Delete(ctx, o.Key), second(m.Put(ctx, o, bytes.NewReader(data))))
		}}, "objects never change"},
		{"keeps what failed", faulty{put: func(ctx context.Context, m *blobstoretest.Memory, o blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
			data, err := io.ReadAll(r)
			outcome, putErr := m.Put(ctx, o, bytes.NewReader(data))
			return outcome, errors.Join(err, putErr)
		}}, "cancelled put"},
		{"ignores the offset", faulty{open: func(ctx context.Context, m *blobstoretest.Memory, key blobstore.Key, _ int64) (io.ReadCloser, int64, error) {
			return m.Open(ctx, key, 0, 0)
		}}, "ranges"},
		{"loses the error of a missing object", faulty{open: func(ctx context.Context, m *blobstoretest.Memory, key blobstore.Key, offset int64) (io.ReadCloser, int64, error) {
			r, size, err := m.Open(ctx, key, offset, 0)
			if err != nil {
				err = fmt.Errorf("no such thing")
			}
			return r, size, err
		}}, "absent objects"},
		{"lists backwards", faulty{list: func(infos []blobstore.Info) []blobstore.Info {
			slices.Reverse(infos)
			return infos
		}}, "lists"},
		{"forgets some in lists", faulty{list: func(infos []blobstore.Info) []blobstore.Info {
			return infos[:min(len(infos), 1000)]
		}}, "lists"},
		{"cuts keys at a zero byte", faulty{put: func(ctx context.Context, m *blobstoretest.Memory, o blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
			before, _, _ := bytes.Cut([]byte(o.Key), []byte{0})
			o.Key = blobstore.Key(before)
			return m.Put(ctx, o, r)
		}}, "opaque keys"},
		{"is never full", faulty{}, "full store"},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			c.store.Memory = &blobstoretest.Memory{}
			kind := blobstore.Kind(func(context.Context, plugin.Setup) (blobstore.Store, error) { return c.store, nil })
			running := plugintest.InProcess(t, kind, plugintest.Options{})
			opts := blobstoretest.Options{Small: running.Conn, Only: []string{c.check}, ListKeys: 1100}
			verdict := blobstoretest.Verify(t.Context(), running.Conn, opts)
			i := slices.IndexFunc(verdict, func(r blobstoretest.Result) bool { return r.Name == c.check })
			if verdict[i].Err == nil {
				t.Errorf("check %q passed a store that %s", c.check, c.mistake)
			}
		})
	}
}

func second(_ blobstore.Outcome, err error) error { return err }
