package hosttest_test

import (
	"fmt"
	"time"

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
		s.tight[name], s.lean[name] = true, true
	} else if here, _ := counts(s.t, h); here > 0 {
		s.tell("%s has refused %d commits", name, here)
		s.refused = true
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
	db, err := h.API().GetDatabase(s.t.Context(), &nodev1.GetDatabaseRequest{Database: hosttest.Database})
	if err != nil {
		s.t.Fatal(err)
	}
	if here == 0 && db.GetSettings().GetQuotaBytes() == 0 {
		delete(s.tight, name)
	}
	return s.tight[name]
}

// accepted waits until, with room everywhere, nobody refuses anything any more or is said to. What was refused is tried again once
// a minute.
func (s *simulation) accepted() {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Second) {
		refused := ""
		for _, name := range s.joined {
			if list := refusedBy(s.t, s.c.Host(name)); len(list) > 0 {
				refused = fmt.Sprintf("%s lists as refused %v", name, list)
			}
		}
		if refused == "" {
			return
		}
		if time.Since(began) > 5*time.Minute {
			s.t.Errorf("%s after the hosts agreed, with room everywhere, %s", time.Since(began), refused)
			return
		}
	}
}
