package blobstorefs

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

const (
	shardCount  = 256
	objectsName = "objects"
)

// shard is one directory of objects.
type shard struct {
	dir string

	mu sync.Mutex // guards that names in dir come and go one at a time, and the field below
	// counted says that the ledger has the objects of this directory, so that changes have to be told to it.
	counted bool
}

// names keeps byte order: its alphabet is in ascending order, and unused bits are zero.
var names = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func nameOf(key blobstore.Key) string { return names.EncodeToString([]byte(key)) }

// keyOf is the inverse of nameOf; it fails for names that nameOf does not make.
func keyOf(name string) (blobstore.Key, error) {
	raw, err := names.DecodeString(name)
	if err != nil {
		return "", fmt.Errorf("file name %q: %w", name, err)
	}
	key := blobstore.Key(raw)
	if len(raw) == 0 || len(raw) > blobstore.MaxKeyBytes || nameOf(key) != name {
		return "", fmt.Errorf("file name %q is not that of an object", name)
	}
	return key, nil
}

// shardOf spreads keys evenly, whatever they have in common.
func shardOf(key blobstore.Key) int { return int(sha256.Sum256([]byte(key))[0]) }

func shardDir(root string, i int) string {
	return filepath.Join(root, objectsName, fmt.Sprintf("%02x", i))
}

// locate is where an object lies or would lie.
func (s *Store) locate(key blobstore.Key) (*shard, string) {
	sh := &s.shards[shardOf(key)]
	return sh, filepath.Join(sh.dir, nameOf(key))
}

// adopt renames a finished file to its place unless an object is there already. The lock of the root keeps other
// processes away, so the lock of the shard suffices to keep the two steps together. It calls stored, with the shard
// locked, if the file was taken.
func (sh *shard) adopt(tmp, path string, stored func()) (blobstore.Outcome, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, err := os.Lstat(path)
	if err == nil {
		return blobstore.Exists, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err := os.Rename(tmp, path); err != nil {
		return 0, err
	}
	stored()
	return blobstore.Stored, nil
}

// remove deletes an object if it is there, and calls removed, with the shard locked, if it was.
func (sh *shard) remove(path string, removed func(size int64)) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	removed(info.Size())
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
