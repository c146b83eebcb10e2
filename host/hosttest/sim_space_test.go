package hosttest_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// forgotten tells whether a row that a host knows nothing of may have been deleted at that time or later, and forgotten then.
func (s *simulation) forgotten(key string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plan.Keep > 0 && slices.ContainsFunc(slices.Concat(s.acknowledged[key], s.doubtful[key]), func(w write) bool {
		return w.value == "" && (w.time.IsZero() || !w.time.Before(at))
	})
}

// latest is when the row was written last, of what was acknowledged.
func (s *simulation) latest(key string) (at time.Time) {
	for _, w := range s.acknowledged[key] {
		if w.time.After(at) {
			at = w.time
		}
	}
	return at
}

// maxGarbage is what may be left where no history is kept: what the metadata of the syncgroup has left behind since its members
// last said what they hold, which they do for the sake of rows alone. What they say names each writer, and who is set back, copied or
// lied to becomes many of them.
func (s *simulation) maxGarbage() uint64 {
	writers := len(s.truth.held("a", hosttest.Collection))
	return uint64(4<<10 + 32*writers*len(s.joined))
}

// reclaimed waits, where no history is to be kept, until none is left, nor any trace of deleted rows.
func (s *simulation) reclaimed() {
	s.t.Helper()
	if s.plan.Keep == 0 {
		return
	}
	s.write("a", batch{Keys: []string{"last"}, Value: "0"}) // what the last commit has left behind stays until the next one
	s.c.Settle(s.bound())
	for began := time.Now(); ; time.Sleep(10 * time.Second) {
		burden := ""
		for _, name := range s.joined {
			if burden = s.burden(name); burden != "" {
				break
			}
		}
		if burden == "" {
			return
		}
		if time.Since(began) > time.Hour {
			s.t.Errorf("an hour after the hosts agreed %s", burden)
			return
		}
	}
}

// burden tells what a host keeps that it should not.
func (s *simulation) burden(name string) string {
	s.t.Helper()
	h := s.c.Host(name)
	resp, err := h.API().Status(s.t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, d := range resp.GetDatabases() {
		if d.GetGarbageBytes() > s.maxGarbage() {
			return fmt.Sprintf("%s has %d bytes of history, held by %v", name, d.GetGarbageBytes(), d.GetHeldBy())
		}
	}
	rows := h.Rows()
	for _, key := range slices.Sorted(maps.Keys(s.acknowledged)) {
		hist, found := s.history(name, key)
		if _, there := rows[key]; found && (!there || len(hist.GetVersions()) > 1) {
			return fmt.Sprintf("%s has %d versions of %s, which is there: %t", name, len(hist.GetVersions()), key, there)
		}
	}
	return ""
}
