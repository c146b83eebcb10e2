// Package blobstorefs keeps blobs as files in a directory of the local file system.
//
// A root directory holds
//
//	format            one line that names this layout and its version
//	lock              held by the process that uses the root
//	tmp/              puts that are not finished; emptied at start
//	objects/00 .. ff  the objects, spread by a hash of their keys
//
// An object is written to tmp, synced, and renamed to its place under a lock on its directory; then the directory is
// synced. So an object is whole or absent whenever the process or the machine stops, and none is ever overwritten. Its
// file name is its key in base32 with the alphabet that keeps byte order, so no key can reach outside the root.
//
// The package knows nothing of what the bytes mean. Read [Store] and [Store.Put] first.
package blobstorefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// Config is the configuration of an instance.
type Config struct {
	Root     string `json:"root" doc:"Absolute path of the directory that holds the objects; by default the data directory of the instance."`
	MaxBytes uint64 `json:"max_bytes" doc:"Largest sum of the sizes of all objects; 0 means as much as the file system takes."`
}

// Validate refuses what cannot work anywhere.
func (c Config) Validate() error {
	if c.Root != "" && !filepath.IsAbs(c.Root) {
		return &plugin.ConfigError{Path: "/root", Summary: fmt.Sprintf("%q is not an absolute path", c.Root)}
	}
	return nil
}

// Plugin is this store as a whole plugin, for its own main and for programs that bundle it.
func Plugin(version string) plugin.Spec {
	return plugin.Spec{Name: "blobstore-fs", Version: version, Kinds: []plugin.Kind{Kind()}}
}

// Kind is this store as a kind of plugin.
func Kind() plugin.Kind {
	return blobstore.Kind(open).WithConfig(Config{}).WithFeatures(blobstore.LocalFiles).AsExclusive()
}

func open(_ context.Context, setup plugin.Setup) (blobstore.Store, error) {
	config, root, err := decode(setup)
	if err != nil {
		return nil, err
	}
	s, err := Open(root, Options{MaxBytes: config.MaxBytes})
	if err != nil {
		return nil, err
	}
	setup.Log.Info("store is open", "root", root)
	return s, nil
}

func decode(setup plugin.Setup) (Config, string, error) {
	var config Config
	if err := setup.Decode(&config); err != nil {
		return config, "", err
	}
	root := config.Root
	if root == "" {
		root = setup.DataDir
	}
	if root == "" {
		return config, "", &plugin.ConfigError{Path: "/root", Summary: "neither a root nor a data directory is given"}
	}
	return config, filepath.Clean(root), nil
}

// Options change how a store works. The zero value is a good one.
type Options struct {
	// MaxBytes bounds the sum of the sizes of all objects; 0 means no bound.
	MaxBytes uint64
}

// Store is a blob store in a directory. It is safe for concurrent use; a second Store, in whatever process, cannot have
// the same root at the same time.
type Store struct {
	root string
	lock *os.File
	// shards are the directories of objects; see shard.
	shards [shardCount]shard
	ledger *ledger

	// stop ends the counting goroutine, which counting waits for.
	stop     context.CancelFunc
	counting sync.WaitGroup
}

var (
	_ blobstore.Store        = (*Store)(nil)
	_ blobstore.Locator      = (*Store)(nil)
	_ blobstore.BatchDeleter = (*Store)(nil)
	_ plugin.HealthChecker   = (*Store)(nil)
	_ plugin.Reconfigurer    = (*Store)(nil)
	_ io.Closer              = (*Store)(nil)
)

// Open takes possession of a root, which is created if it does not exist. The caller has to Close the store.
func Open(root string, opts Options) (*Store, error) {
	lock, err := takeRoot(root)
	if err != nil {
		return nil, err
	}
	s := &Store{root: root, lock: lock, ledger: newLedger(opts.MaxBytes)}
	for i := range s.shards {
		s.shards[i].dir = shardDir(root, i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.counting.Go(func() { s.count(ctx) })
	return s, nil
}

// Close releases the root. No other method may be running.
func (s *Store) Close() error {
	s.stop()
	s.counting.Wait()
	return s.lock.Close()
}

// Put implements blobstore.Store.
func (s *Store) Put(ctx context.Context, object blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
	sh, path := s.locate(object.Key)
	if _, err := os.Lstat(path); err == nil {
		// Who put it may not have come to the sync yet, and Exists promises as much as Stored.
		return blobstore.Exists, mapError(syncDir(sh.dir))
	}
	release, err := s.ledger.reserve(ctx, object.Size)
	if err != nil {
		return 0, err
	}
	defer release()
	tmp, err := s.writeTemp(r, object.Size)
	if err != nil {
		return 0, mapError(err)
	}
	outcome, err := sh.adopt(tmp, path, func() { s.ledger.add(sh, 1, object.Size) })
	if err != nil || outcome == blobstore.Exists {
		err = errors.Join(err, os.Remove(tmp))
	}
	if err != nil {
		return 0, mapError(err)
	}
	return outcome, mapError(syncDir(sh.dir))
}

// writeTemp writes and syncs a file in tmp and answers its path; on failure it leaves none.
func (s *Store) writeTemp(r io.Reader, size int64) (string, error) {
	f, err := os.CreateTemp(filepath.Join(s.root, tmpName), "put-*")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(f, r)
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d bytes came, %d were announced", blobstore.ErrCorrupt, n, size)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Open implements blobstore.Store.
func (s *Store) Open(_ context.Context, key blobstore.Key, offset, _ int64) (io.ReadCloser, int64, error) {
	_, path := s.locate(key)
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, mapMissing(err)
	}
	info, err := f.Stat()
	if err == nil && offset > 0 {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, 0, mapError(errors.Join(err, f.Close()))
	}
	return f, info.Size(), nil
}

// Stat implements blobstore.Store.
func (s *Store) Stat(_ context.Context, key blobstore.Key) (blobstore.Info, error) {
	_, path := s.locate(key)
	info, err := os.Lstat(path)
	if err != nil {
		return blobstore.Info{}, mapMissing(err)
	}
	return blobstore.Info{Key: key, Size: info.Size(), Modified: info.ModTime()}, nil
}

// Delete implements blobstore.Store.
func (s *Store) Delete(ctx context.Context, key blobstore.Key) error {
	return s.DeleteBatch(ctx, []blobstore.Key{key})[0]
}

// DeleteBatch implements blobstore.BatchDeleter. It syncs every directory once, after all removals; also those in which
// nothing was removed, since somebody else may have done so a moment ago.
func (s *Store) DeleteBatch(_ context.Context, keys []blobstore.Key) []error {
	errs := make([]error, len(keys))
	touched := map[*shard]error{}
	for i, key := range keys {
		sh, path := s.locate(key)
		touched[sh] = nil
		errs[i] = mapError(sh.remove(path, func(size int64) { s.ledger.add(sh, -1, -size) }))
	}
	for sh := range touched {
		touched[sh] = mapError(syncDir(sh.dir))
	}
	for i, key := range keys {
		if sh, _ := s.locate(key); errs[i] == nil {
			errs[i] = touched[sh]
		}
	}
	return errs
}

// Locate implements blobstore.Locator.
func (s *Store) Locate(_ context.Context, key blobstore.Key) (blobstore.Location, error) {
	_, path := s.locate(key)
	info, err := os.Lstat(path)
	if err != nil {
		return blobstore.Location{}, mapMissing(err)
	}
	return blobstore.Location{Path: path, Length: info.Size()}, nil
}

// healthLimit bounds how long Health waits for a lock.
const healthLimit = time.Second

// minFree is the free space below which the store counts as degraded.
const minFree = 64 << 20

// Health implements plugin.HealthChecker.
func (s *Store) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	if _, err := os.Lstat(filepath.Join(s.root, formatName)); err != nil {
		return fmt.Errorf("the root is not readable: %w", err)
	}
	if err := s.ledger.take(ctx); err != nil {
		return fmt.Errorf("the ledger is held: %w", err)
	}
	s.ledger.give()
	free, err := freeBytes(s.root)
	if err == nil && free < minFree {
		return fmt.Errorf("%w: %d bytes are free on the file system of %s", plugin.ErrDegraded, free, s.root)
	}
	return nil
}

// Reconfigure implements plugin.Reconfigurer: the limit can change, the root cannot.
func (s *Store) Reconfigure(ctx context.Context, setup plugin.Setup) error {
	config, root, err := decode(setup)
	if err != nil {
		return err
	}
	if root != s.root {
		return plugin.ErrRestartRequired
	}
	return s.ledger.limit(ctx, config.MaxBytes)
}

// mapMissing is mapError for one object, where a missing file is a missing object.
func mapMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", blobstore.ErrNotFound, err)
	}
	return mapError(err)
}

// mapError gives errors of the file system their meaning for the host.
func mapError(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return fmt.Errorf("%w: %w", blobstore.ErrFull, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", blobstore.ErrDenied, err)
	default:
		return err
	}
}
