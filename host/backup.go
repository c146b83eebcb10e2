package host

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Folders of a backup beside the copy of the store.
const (
	backupBlobs    = "blobs"
	backupIdentity = "identity"
)

// deviceKey is the file of an identity without which it is none.
const deviceKey = "key.pem"

// unpackDir is where a restore leaves the packs of blobs for the daemon, which gives them to the blob store: only a plugin knows
// how that keeps them. Files are named by the keys of the objects, in hexadecimal.
const unpackDir = "blobs-to-restore"

// backup writes a backup while the daemon runs.
func (h *Host) backup(ctx context.Context, dir string, with api.BackupContents) (kv.Manifest, error) {
	if err := h.dir.gone(); err != nil {
		return kv.Manifest{}, err
	}
	for _, own := range []string{h.opts.Config.Node.DataDir, h.opts.Config.Identity.Dir} {
		if within, err := filepath.Rel(realPath(own), realPath(dir)); err == nil && filepath.IsLocal(within) {
			return kv.Manifest{}, fmt.Errorf("directory %s is in %s, which it would be lost with; choose another", dir, own)
		}
	}
	var beside []func(*kv.Beside) error
	if with.Blobs && h.opts.Config.Blobs.Store != "" {
		beside = append(beside, func(w *kv.Beside) error {
			return h.blobs.EachPack(ctx, func(key, data []byte) error { return w.Add(backupBlobs, hex.EncodeToString(key), data) })
		})
	}
	if with.Identity {
		beside = append(beside, h.backupIdentity)
	}
	return h.rows.Backup(ctx, dir, beside...)
}

// realPath is a path without symbolic links, as far as it is there.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if up := filepath.Dir(path); up != path {
		return filepath.Join(realPath(up), filepath.Base(path))
	}
	return path
}

func (h *Host) backupIdentity(w *kv.Beside) error {
	dir := h.opts.Config.Identity.Dir
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if err != nil || !entry.Type().IsRegular() {
			continue
		}
		var data []byte
		if data, err = os.ReadFile(filepath.Join(dir, entry.Name())); err == nil {
			err = w.Add(backupIdentity, entry.Name(), data)
		}
	}
	return err
}

// restoreBeside brings back what lies beside the store in a backup that was verified. An identity that is there is left alone;
// the key is what tells, so it comes last, and whoever is cut short before it can do all of it again.
func restoreBeside(backup, dataDir string, files []kv.BackupFile) error {
	identity := filepath.Join(dataDir, backupIdentity)
	_, err := os.Stat(filepath.Join(identity, deviceKey))
	keep := err == nil
	slices.SortStableFunc(files, func(a, b kv.BackupFile) int {
		return cmp.Compare(strings.Count(a.Name, "/"+deviceKey), strings.Count(b.Name, "/"+deviceKey))
	})
	for _, f := range files {
		folder, name := filepath.Split(filepath.FromSlash(f.Name))
		to := ""
		switch filepath.Clean(folder) {
		case backupBlobs:
			to = filepath.Join(dataDir, unpackDir)
		case backupIdentity:
			if keep {
				continue
			}
			to = identity
		default:
			continue // of a later version
		}
		data, err := os.ReadFile(filepath.Join(backup, filepath.FromSlash(f.Name)))
		if err != nil {
			return err
		}
		if err := errors.Join(os.MkdirAll(to, 0o700), os.WriteFile(filepath.Join(to, name), data, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// unpackEvery is how long the daemon waits before it tries again to give restored packs to the blob store.
const unpackEvery = 5 * time.Second

// unpack gives the packs that a restore left to the blob store, and ends when there are none, or with ctx.
func (h *Host) unpack(ctx context.Context) error {
	dir := filepath.Join(h.opts.Config.Node.DataDir, unpackDir)
	for {
		err := h.unpackAll(ctx, dir)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		h.log.Warn("restored blobs are not in the blob store yet", "directory", dir, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(unpackEvery):
		}
	}
}

func (h *Host) unpackAll(ctx context.Context, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if h.opts.Config.Blobs.Store == "" {
		return errors.New("no blob store is configured")
	}
	to := h.plugins.BlobStore(h.opts.Config.Blobs.Store)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		key, err := hex.DecodeString(entry.Name())
		if err != nil {
			return fmt.Errorf("%s is no pack of a backup; take it away", path)
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = to.Put(ctx, key, data)
		}
		if err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	h.log.Info("restored blobs are in the blob store", "packs", len(entries))
	return os.Remove(dir)
}
