package host

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// storeDir is the part of a data directory that a backup holds.
const storeDir = "store"

// Restored says what a restore brought back.
type Restored struct {
	Files int
	Bytes int64
	// Owners are those of the databases. Identity is who the daemon will be, by what lies in the data directory; empty if it is
	// to make an identity of its own, which may not read what belongs to others.
	Owners   []string
	Identity string
}

// RestoreStore makes the store of a data directory, which must not have one, from a backup that it verifies first. The
// device becomes another writer, so that nothing of what it did after the backup was taken is mistaken for what it does
// from now on. The daemon gives the bytes of blobs to the blob store when it starts.
func RestoreStore(ctx context.Context, backup, dataDir string) (_ Restored, err error) {
	if err := outsideOfStores(dataDir); err != nil {
		return Restored{}, err
	}
	made := []string{filepath.Join(dataDir, storeDir)}
	for dir := dataDir; missing(dir) && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		made = append(made, dir)
	}
	defer func() {
		// What was made for a restore that failed and is empty goes again.
		for i := 0; err != nil && i < len(made) && (os.Remove(made[i]) == nil || missing(made[i])); i++ {
		}
	}()
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return Restored{}, fmt.Errorf("create data directory: %w", err)
	}
	beside := func(m kv.Manifest) error { return restoreBeside(backup, dataDir, m.Beside) }
	m, err := rows.Restore(ctx, backup, filepath.Join(dataDir, storeDir), kv.Options{Steps: formatSteps}, randomNumber, beside)
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s: %w", backup, err)
	}
	files := append(m.Files, m.Beside...)
	r := Restored{Files: len(files)}
	for _, f := range files {
		r.Bytes += f.Size
	}
	return r, r.who(dataDir)
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// outsideOfStores refuses a data directory that is a store, or lies in one: the daemon of that would sweep it away.
func outsideOfStores(dataDir string) error {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return err
	}
	for dir = realPath(dir); ; dir = filepath.Dir(dir) {
		if kv.HasStore(dir) {
			return fmt.Errorf("%s lies in the store %s; a data directory is what holds a store, such as %s", dataDir, dir, filepath.Dir(dir))
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// who finds out to whom the data belongs, and who will be there to read it.
func (r *Restored) who(dataDir string) error {
	store, err := kv.Open(filepath.Join(dataDir, storeDir), kv.Options{ReadOnly: true, Steps: formatSteps})
	if err != nil {
		return err
	}
	atlas, err := rows.NewAtlas(store)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	for _, owner := range atlas.Owners() {
		r.Owners = append(r.Owners, string(owner))
	}
	dir := filepath.Join(dataDir, backupIdentity)
	if _, err := os.Stat(filepath.Join(dir, deviceKey)); err == nil {
		i, err := ShowIdentity(dir)
		r.Identity = string(i.Owner)
		return err
	}
	return nil
}

// randomNumber is hard to meet twice.
func randomNumber() uint32 {
	var b [4]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}
