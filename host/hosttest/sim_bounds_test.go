package hosttest_test

import "time"

// soon is how long hosts may take to agree if nobody lacks what it believes to hold.
const soon = 5 * time.Minute

// bound is how long the hosts may take to agree after all faults. What was withheld, or named twice, only comparing brings to
// light.
func (s *simulation) bound() time.Duration {
	if s.plan.Flavour.repairs() || len(s.setBack) > 0 {
		return 2 * time.Hour
	}
	return soon
}

// mended tells whether rows may have come by name, one by one: in histories made for that, and where who was set back used names
// again that others took for what they stood for before. Then somebody must have raised the alarm.
func (s *simulation) mended() bool {
	return s.plan.Flavour.repairs() || len(s.setBack) > 0 && s.log.alarmed()
}

// sparing checks that nothing was sent much more often than it had to be. What was under way when a connection broke is sent again;
// copies of one host, and one whom nobody believes, hear more.
func (s *simulation) sparing() {
	s.t.Helper()
	all, again := s.truth.twice()
	bound := all/5 + 30*len(s.joined)
	switch {
	case s.pulledAgain():
		return // all of it, for nothing
	case len(s.setBack) > 0: // what has been lost comes again, and where history is short, all of it
		bound = all*3/4 + 50*len(s.joined)
	case s.plan.Flavour.repairs():
		bound = all/2 + 50*len(s.joined)
	}
	if again > bound {
		s.t.Errorf("of %d records that were sent %d had been sent before by the same host, want %d at most", all, again, bound)
	}
}
