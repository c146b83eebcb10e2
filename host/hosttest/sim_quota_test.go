package hosttest_test

import (
	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// quota leaves a member so little room that it refuses some of what it gets, or gives it room again.
func (s *simulation) quota(name string, p step) {
	s.t.Helper()
	h := s.c.Host(name)
	bound := uint64(0)
	if p.On {
		bound = used(s.t, h) + uint64(p.N)
		s.tight[name] = true
	}
	s.tell("%s has a quota of %d bytes", name, bound)
	setQuota(s.t, h, bound)
}

// refusing tells whether a host, which runs, may lack what it says that it holds: a commit that it refuses counts as held.
func (s *simulation) refusing(name string) bool {
	s.t.Helper()
	if !s.tight[name] {
		return false
	}
	h := s.c.Host(name)
	here, _ := counts(s.t, h)
	s.refused = s.refused || here > 0
	db, err := h.API().GetDatabase(s.t.Context(), &nodev1.GetDatabaseRequest{Database: hosttest.Database})
	if err != nil {
		s.t.Fatal(err)
	}
	if here == 0 && db.GetSettings().GetQuotaBytes() == 0 {
		delete(s.tight, name)
	}
	return s.tight[name]
}

// accepted checks that, with room everywhere, nobody refuses anything any more or is said to.
func (s *simulation) accepted() {
	s.t.Helper()
	for _, name := range s.joined {
		if here, elsewhere := counts(s.t, s.c.Host(name)); here+elsewhere > 0 {
			s.t.Errorf("%s refuses %d commits, and says that others refuse %d: %v", name, here, elsewhere, refusedBy(s.t, s.c.Host(name)))
		}
		if s.refusing(name) {
			s.t.Errorf("%s still has a quota", name)
		}
	}
}
