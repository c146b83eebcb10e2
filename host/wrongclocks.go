package host

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// maxWrongClocks bounds the writers that are remembered.
const maxWrongClocks = 100

// wrongClock is a device whose commits in a database bear a time in the future.
type wrongClock struct {
	db     *rows.DB
	device id.Device
}

// wrongSeen is the latest such time, and when the first such commit came.
type wrongSeen struct {
	until, since time.Time
}

// wrongClocks are the devices that wrote in the future, as far as that has come here since the daemon started. Who passed
// it on does not matter. Safe for concurrent use.
type wrongClocks struct {
	// mu guards the field below it.
	mu   sync.Mutex
	seen map[wrongClock]wrongSeen
}

// note takes note of commits that came, and returns the devices that are news.
func (w *wrongClocks) note(db *rows.DB, ahead map[id.Writer]hlc.Time, now time.Time) (fresh []id.Device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.seen, func(key wrongClock, s wrongSeen) bool { return !s.until.After(now) || key.db.Err() != nil })
	for writer, t := range ahead {
		key := wrongClock{db, writer.Device}
		s, found := w.seen[key]
		if !found && len(w.seen) >= maxWrongClocks {
			continue
		}
		if !found {
			s.since, fresh = now, append(fresh, writer.Device)
		}
		if wall := t.Wall(); wall.After(s.until) {
			s.until = wall
		}
		if w.seen == nil {
			w.seen = map[wrongClock]wrongSeen{}
		}
		w.seen[key] = s
	}
	return fresh
}

// alarms tells of the devices whose times have not come yet.
func (w *wrongClocks) alarms(now time.Time) (list []api.Alarm) {
	w.mu.Lock()
	seen := maps.Clone(w.seen)
	w.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(seen), func(a, b wrongClock) int {
		return cmp.Or(a.db.Name().Compare(b.db.Name()), slices.Compare(a.device[:], b.device[:]))
	})
	for _, key := range keys {
		s := seen[key]
		if !s.until.After(now) || key.db.Err() != nil {
			continue
		}
		p := memberWith(key.db, key.device)
		list = append(list, api.Alarm{
			Kind: "clock", Since: s.since, Principal: p,
			Text: fmt.Sprintf("%s wrote to %s with a time that is %s ahead of this device's clock, until %s: what it writes wins conflicts till then; "+
				"mend its clock, or name a time server in clock.servers there (or here, if it is this device's clock that is behind)",
				cmp.Or(string(p), "the device "+key.device.String()), key.db.Name(), roughly(s.until.Sub(now)), s.until.UTC().Format(time.DateTime)),
		})
	}
	return list
}

// memberWith returns the principal of the member that a device is, empty if none says so.
func memberWith(db *rows.DB, device id.Device) id.Principal {
	groups, err := syncgroup.Known(db)
	if err != nil {
		return ""
	}
	for _, g := range groups {
		registers, err := syncgroup.Registers(db, g.Name)
		if err != nil {
			continue
		}
		for _, m := range registers {
			if m.Device == device.String() {
				return m.Principal
			}
		}
	}
	return ""
}

// roughly says how long that is, for people.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*365*day:
		return fmt.Sprintf("%d years", d/(365*day))
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.Round(time.Second).String()
}
