package hosttest

import (
	"github.com/syncbase/syncbase/host/internal/kv"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Snapshot is the state of a host's disk at some moment, as a virtual machine or a file system keeps one.
type Snapshot struct{ disk *kv.MemFS }

// Snapshot takes what is on the disk of the host, which may run.
func (h *Host) Snapshot() Snapshot { return Snapshot{h.disk.CrashClone()} }

// SetBack puts the host back to a snapshot, as if its virtual machine were: it notices nothing of it. The daemon, if it
// runs, is gone at once; Start starts it again.
func (h *Host) SetBack(to Snapshot) {
	h.c.t.Helper()
	h.Crash()
	h.disk = to.disk.CrashClone()
}

// Destroy removes the database from the host.
func (h *Host) Destroy() {
	h.c.t.Helper()
	h.must(h.API().DestroyDatabase(h.ctx(), &nodev1.DestroyDatabaseRequest{Database: Database}))
}
