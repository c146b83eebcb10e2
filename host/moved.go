package host

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
)

// dirWatch knows where the store was when it was opened. A daemon goes on for a while with the files that it has open when its data
// directory is moved away or removed; whatever then opens one by its path takes the store for damaged. Safe for concurrent use.
type dirWatch struct {
	dir, store string
	// at is the directory of the store; nil where there is none on the machine.
	at os.FileInfo
	// mu guards the field below it.
	mu sync.Mutex
	// since is when the directory was first seen to be gone; zero while it is there.
	since time.Time
}

func watchDir(dir, store string) *dirWatch {
	at, err := os.Stat(store)
	if err != nil {
		return &dirWatch{dir: dir, store: store}
	}
	return &dirWatch{dir: dir, store: store, at: at}
}

// gone says that the directory is not there any more, or that another one is.
func (w *dirWatch) gone() error {
	if w.at == nil {
		return nil
	}
	now, err := os.Stat(w.store)
	switch {
	case err == nil && os.SameFile(w.at, now):
		return nil
	case err != nil && !os.IsNotExist(err):
		return nil // who may not look cannot tell
	}
	return fmt.Errorf("the data directory %s was moved away or removed while the daemon runs: stop the daemon, put the directory back, and start it again", w.dir)
}

// alarms tell that it is gone, until it is back.
func (w *dirWatch) alarms(h *Host) []api.Alarm {
	gone := w.gone()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case gone == nil:
		w.since = time.Time{}
		return nil
	case w.since.IsZero():
		w.since = h.opts.Seams.Now()
	}
	return []api.Alarm{{Kind: "moved", Since: w.since, Principal: h.identity.Principal(), Text: gone.Error()}}
}
