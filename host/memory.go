package host

import (
	"os"
	"runtime/debug"
)

const (
	// cacheShare is the share of memory.max_mib that caches what lies on the disk. It is not the collector's.
	cacheShare = 4
	// aside is what else is not the collector's: the program itself, the memory tables of the store, and what lies between.
	aside = 72 << 20
)

// BoundMemory keeps this process within what its configuration allows: the collector works harder before what is live and what is not
// would be more. What is live is bounded by itself, well below that. Whoever sets GOMEMLIMIT decides instead.
func BoundMemory(c Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(collectorBytes(c))
	}
}

// collectorBytes is what is left to the collector.
func collectorBytes(c Config) int64 {
	all := int64(c.Memory.MaxMiB) << 20
	return all - all/cacheShare - aside
}

// cacheBytes is the size of the cache of the store.
func cacheBytes(c Config) int64 { return int64(c.Memory.MaxMiB) << 20 / cacheShare }
