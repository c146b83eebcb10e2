package hosttest_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// settle waits until the hosts agree, deletes included: that a host has deleted what others had deleted before shows in none of
// its rows, and one that came back last may have told nobody yet that it holds something. Comparing, by which histories with
// repairs heal, passes over such deletes.
func (s *simulation) settle() {
	s.t.Helper()
	healed := time.Now()
	s.c.Settle(s.bound())
	if time.Since(healed) > soon && !s.mended() {
		s.t.Errorf("it took the hosts %s to agree, and nobody raised an alarm", time.Since(healed))
	}
	for diff := s.differ(); diff != "" && !s.mended(); diff = s.differ() {
		if time.Since(healed) > s.bound() {
			s.t.Errorf("%s after the end of all faults %s", time.Since(healed), diff)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.tell("the hosts agree")
	s.c.Settle(s.bound())
}

// differ tells which row, deleted or not, has not the same current version on all hosts.
func (s *simulation) differ() string {
	s.t.Helper()
	for _, key := range slices.Sorted(maps.Keys(s.acknowledged)) {
		want := s.current("a", key)
		for _, name := range s.joined {
			got := s.current(name, key)
			if s.plan.Keep > 0 && (got == "" || want == "") { // a delete that one of them has forgotten already
				continue
			}
			if got != want {
				return fmt.Sprintf("the current version of %s is %q on a and %q on %s", key, want, got, name)
			}
		}
	}
	return ""
}

// current is the current version of a row on a host, empty if the host has never heard of the row.
func (s *simulation) current(name, key string) string {
	s.t.Helper()
	hist, _ := s.history(name, key)
	return hist.GetHead()
}

// history is the version graph of a row on a host, if the host knows anything of the row.
func (s *simulation) history(name, key string) (h *nodev1.HistoryResponse, found bool) {
	s.t.Helper()
	h, err := s.c.Host(name).API().History(s.t.Context(), &nodev1.HistoryRequest{
		Database: hosttest.Database, Collection: hosttest.Collection, Key: key,
	})
	if err != nil && status.Code(err) != codes.NotFound {
		s.t.Fatalf("%s: history of %s: %v", name, key, err)
	}
	return h, err == nil
}
