package host

import "github.com/syncbase/syncbase/host/internal/kv"

// formatSteps bring the store of an older version forward, one entry for each version before kv.FormatVersion. Each runs a
// function of the room whose keys it changes; CONTRIBUTING.md tells how one is added.
var formatSteps []kv.Step

// storeOptions are how the daemon opens its store.
func (h *Host) storeOptions() kv.Options {
	return kv.Options{
		CacheBytes: cacheBytes(h.opts.Config),
		FS:         h.opts.Seams.Disk,
		Steps:      formatSteps,
		Damaged: func(path string) {
			h.log.Error("a file of the store is damaged; what lies in it cannot be read: "+kv.WhatNow, "file", path)
		},
		Shortage: h.disk.shortage,
		Upgrading: func(from, to int, what string) {
			h.log.Warn("bringing the data directory forward; older versions of the software will refuse it from now on",
				"from", from, "to", to, "change", what)
		},
	}
}
