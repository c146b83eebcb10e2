package blobstorefs

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

const (
	// listBatch is how many names a list holds in memory. Each pass over the directories yields so many.
	listBatch = 1 << 16
	// readBatch is how many names are read from a directory at once.
	readBatch = 1 << 10
)

// List implements blobstore.Store. Objects lie spread over the directories, so each pass reads all names and keeps the
// smallest ones after the last that was yielded.
func (s *Store) List(ctx context.Context, prefix, startAfter blobstore.Key) iter.Seq2[blobstore.Info, error] {
	return s.list(ctx, prefix, startAfter, listBatch)
}

func (s *Store) list(ctx context.Context, prefix, startAfter blobstore.Key, batch int) iter.Seq2[blobstore.Info, error] {
	return func(yield func(blobstore.Info, error) bool) {
		for {
			keys, err := s.smallest(ctx, prefix, startAfter, batch)
			if err != nil {
				yield(blobstore.Info{}, mapError(err))
				return
			}
			for _, key := range keys {
				info, err := s.Stat(ctx, key)
				if errors.Is(err, blobstore.ErrNotFound) {
					continue // deleted since
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
			if len(keys) < batch {
				return
			}
			startAfter = keys[len(keys)-1]
		}
	}
}

// smallest answers the first keys, in order, of those with the prefix that are greater than after.
func (s *Store) smallest(ctx context.Context, prefix, after blobstore.Key, batch int) ([]blobstore.Key, error) {
	kept := &largestFirst{}
	for i := range s.shards {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := eachName(s.shards[i].dir, func(name string) {
			key, err := keyOf(name)
			if err != nil || key <= after || !strings.HasPrefix(string(key), string(prefix)) {
				return
			}
			switch {
			case len(*kept) < batch:
				heap.Push(kept, key)
			case key < (*kept)[0]:
				(*kept)[0] = key
				heap.Fix(kept, 0)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(*kept)
	return *kept, nil
}

// eachName calls f for every name in a directory, holding few of them at a time.
func eachName(dir string, f func(name string)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.Readdirnames(readBatch)
		for _, name := range entries {
			f(name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// largestFirst is a heap with the largest key on top.
type largestFirst []blobstore.Key

func (h largestFirst) Len() int           { return len(h) }
func (h largestFirst) Less(i, j int) bool { return cmp.Less(h[j], h[i]) }
func (h largestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *largestFirst) Push(key any)      { *h = append(*h, key.(blobstore.Key)) }
func (h *largestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// count tells the ledger what is there, one directory after the other.
func (s *Store) count(ctx context.Context) {
	for i := range s.shards {
		if ctx.Err() != nil {
			return
		}
		if err := s.countShard(&s.shards[i]); err != nil {
			s.ledger.fail(err)
			return
		}
	}
	s.ledger.finish()
}

// countShard holds the shard's lock, so that every put and delete comes entirely before or after.
func (s *Store) countShard(sh *shard) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var objects, bytes int64
	var fault error
	err := eachName(sh.dir, func(name string) {
		if _, err := keyOf(name); err != nil {
			return
		}
		info, err := os.Lstat(filepath.Join(sh.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			fault = err
			return
		}
		objects++
		bytes += info.Size()
	})
	if err := errors.Join(err, fault); err != nil {
		return err
	}
	sh.counted = true
	s.ledger.add(sh, objects, bytes)
	return nil
}
