package hosttest

import (
	"os"
	"path/filepath"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Snapshot is the state of a host's disk at some moment, as a virtual machine or a file system keeps one.
type Snapshot struct {
	disk *kv.MemFS
	// place is the file beside the store, which lies in a real directory, and its time.
	place   []byte
	written time.Time
}

// Snapshot takes what is on the disk of the host, which may run.
func (h *Host) Snapshot() Snapshot {
	s := Snapshot{disk: h.disk.CrashClone()}
	st, err := os.Stat(h.placeFile())
	if err != nil {
		return s
	}
	s.written = st.ModTime()
	s.place, err = os.ReadFile(h.placeFile())
	h.must(s, err)
	return s
}

func (h *Host) placeFile() string { return filepath.Join(h.dir, "place") }

// SetBack puts the host back to a snapshot, as if its virtual machine were: it notices nothing of it. The daemon, if it
// runs, is gone at once; Start starts it again.
func (h *Host) SetBack(to Snapshot) {
	h.c.t.Helper()
	h.Crash()
	h.putBack(to)
}

func (h *Host) putBack(to Snapshot) {
	h.disk = to.disk.CrashClone()
	if to.place == nil {
		return
	}
	h.must(nil, os.WriteFile(h.placeFile(), to.place, 0o600))
	h.must(nil, os.Chtimes(h.placeFile(), to.written, to.written))
}

// PutBackCopy puts back a copy of the files of the store alone, taken at the snapshot, as somebody does who has no better
// backup. The daemon must not run.
func (h *Host) PutBackCopy(of Snapshot) {
	h.c.t.Helper()
	if h.Running() {
		h.c.t.Fatalf("%s runs", h.name)
	}
	h.disk = of.disk.CrashClone()
}

// Destroy removes the database from the host.
func (h *Host) Destroy() {
	h.c.t.Helper()
	h.must(h.API().DestroyDatabase(h.ctx(), &nodev1.DestroyDatabaseRequest{Database: Database}))
}
