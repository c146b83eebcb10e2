package host

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
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
}

// RestoreStore makes the store of a data directory, which must not have one, from a backup that it verifies first. The
// device becomes another writer, so that nothing of what it did after the backup was taken is mistaken for what it does
// from now on. The daemon gives the bytes of blobs to the blob store when it starts.
func RestoreStore(ctx context.Context, backup, dataDir string) (Restored, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return Restored{}, fmt.Errorf("create data directory: %w", err)
	}
	m, err := rows.Restore(ctx, backup, filepath.Join(dataDir, storeDir), kv.Options{Steps: formatSteps}, randomNumber)
	if err != nil {
		return Restored{}, fmt.Errorf("restore %s: %w", backup, err)
	}
	if err := restoreBeside(backup, dataDir, m.Beside); err != nil {
		return Restored{}, fmt.Errorf("the store is there, but not all that lies beside it; remove %s and restore %s again: %w", dataDir, backup, err)
	}
	files := append(m.Files, m.Beside...)
	r := Restored{Files: len(files)}
	for _, f := range files {
		r.Bytes += f.Size
	}
	return r, nil
}

// randomNumber is hard to meet twice.
func randomNumber() uint32 {
	var b [4]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}
