package host

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// diskWatch notes since when there is little room, or a store that has failed. Safe for concurrent use.
type diskWatch struct {
	h *Host
	// mu guards the fields below it.
	mu sync.Mutex
	// short and failed are zero while all is well.
	short, failed time.Time
}

// shortage is told by the store, in the middle of writes.
func (w *diskWatch) shortage(s kv.Space) {
	w.mu.Lock()
	w.short = time.Time{}
	if s.Short {
		w.short = w.h.opts.Seams.Now()
	}
	w.mu.Unlock()
	if s.Short {
		w.h.log.Error("there is little space left on the disk; writes are refused when it has less than the reserve", "free", s.Free, "reserve", s.Reserve)
	} else {
		w.h.log.Info("there is space on the disk again", "free", s.Free)
	}
}

// since returns when it was noticed that the disk is short of space, and that the store has failed.
func (w *diskWatch) since(failed bool) (shortSince, failedSince time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if failed && w.failed.IsZero() {
		w.failed = w.h.opts.Seams.Now()
	}
	return w.short, w.failed
}

// alarms are what somebody has to see to.
func (h *Host) alarms() []api.Alarm {
	return slices.Concat(h.disk.alarms(h.kv.Space(), h.kv.Failed()), h.dir.alarms(h), h.copyAlarms(), h.apart.alarms(h), h.wrong.alarms(h.opts.Seams.Now()))
}

// alarms are about what the disk is like now, so they end with what they tell of.
func (w *diskWatch) alarms(space kv.Space, failed error) (list []api.Alarm) {
	short, since := w.since(failed != nil)
	if failed != nil {
		list = append(list, api.Alarm{
			Kind: "store", Since: since, Principal: w.h.identity.Principal(),
			Text: fmt.Sprintf("nothing is written any more: %v; look at the disk, make room and start the daemon again", failed),
		})
	}
	if space.Short {
		list = append(list, api.Alarm{Kind: "disk", Since: short, Principal: w.h.identity.Principal(), Text: shortOf(w.h.opts.Config.Node.DataDir, space)})
	}
	return list
}

// shortOf says what little room means.
func shortOf(dir string, s kv.Space) string {
	const mib = 1 << 20
	if s.Refuses() {
		return fmt.Sprintf("the disk of %s has %d MiB free, less than the %d MiB that are kept free: writes are refused; make room, and they are accepted again",
			dir, s.Free/mib, s.Reserve/mib)
	}
	return fmt.Sprintf("the disk of %s has %d MiB free: large batches may be refused, and every write when it has less than %d MiB; make room",
		dir, s.Free/mib, s.Reserve/mib)
}
