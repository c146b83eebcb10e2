package hosttest_test

import "time"

// bound is how long the hosts may take to agree after all faults. What was withheld, or named twice, only comparing brings to
// light.
func (s *simulation) bound() time.Duration {
	if s.plan.Flavour.repairs() {
		return 2 * time.Hour
	}
	return 5 * time.Minute
}

// sparing checks that nothing was sent much more often than it had to be. What was under way when a connection broke is sent again;
// copies of one host, and one whom nobody believes, hear more.
func (s *simulation) sparing() {
	s.t.Helper()
	all, again := s.truth.twice()
	bound := all/5 + 30*len(s.joined)
	if s.plan.Flavour.repairs() {
		bound = all/2 + 50*len(s.joined)
	}
	if again > bound {
		s.t.Errorf("of %d records that were sent %d had been sent before by the same host, want %d at most", all, again, bound)
	}
}
