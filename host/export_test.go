package host

import (
	"path/filepath"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// OpenStoreForTest opens the store of a data directory as the daemon does.
func OpenStoreForTest(dataDir string) (*kv.Store, error) {
	return kv.Open(filepath.Join(dataDir, storeDir), kv.Options{Steps: formatSteps})
}
