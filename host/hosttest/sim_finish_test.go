package hosttest_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// conclude checks, when the hosts agree, what they did on the way, and settles what was left to be decided.
func (s *simulation) conclude() {
	s.t.Helper()
	for _, name := range s.joined {
		s.truthful(name)
	}
	for _, fault := range s.truth.said() {
		s.t.Error(fault)
	}
	s.sparing()
	if s.plan.Flavour == withRules {
		s.decide()
	}
	s.verify()
	s.accepted()
	s.reclaimed()
}

// verify waits until hosts that compare have found that they hold the same.
func (s *simulation) verify() {
	s.t.Helper()
	if s.plan.Flavour == withOlder || s.plan.Flavour == withLiar { // of whom some do not compare, or wait long for generations that were invented
		return
	}
	agreed := time.Now()
	for deadline := agreed.Add(time.Hour); ; time.Sleep(10 * time.Second) {
		without := ""
		for _, h := range s.c.Hosts() {
			without = cmp.Or(without, unverified(s, h, agreed))
		}
		if without == "" {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("an hour after the hosts agreed %s", without)
			return
		}
	}
}

// unverified tells which peer a host has not been found to hold the same as since.
func unverified(s *simulation, h *hosttest.Host, since time.Time) string {
	s.t.Helper()
	status, err := h.API().Status(s.t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range status.GetPeers() {
		if p.GetConnected() && p.GetDevice() != "" && p.GetVia() != "inbound" && p.GetVerified().AsTime().Before(since) {
			return fmt.Sprintf("%s has not compared with %s: %v", h.Name(), p.GetName(), p)
		}
		if p.GetDivergences() > 0 && len(s.setBack) == 0 {
			s.t.Errorf("%s says that %s held something else", h.Name(), p.GetName())
		}
	}
	return ""
}

// decide settles what conflicts are left, after checking that all hosts have the same ones and that none lacks a version.
func (s *simulation) decide() {
	s.t.Helper()
	s.spread()
	for key, writes := range s.acknowledged {
		if !left(key) || s.plan.Keep > 0 || s.lean["a"] { // what was refused and is overwritten is not taken any more
			continue
		}
		var known []string
		for _, v := range s.c.Host("a").History(key).GetVersions() {
			known = append(known, v.GetVersion())
		}
		for _, w := range writes {
			if !s.setBack[w.host] && !slices.Contains(known, w.version) {
				s.t.Errorf("%s acknowledged %s of %s, of which the history knows nothing", w.host, w.version, key)
			}
		}
	}
	for n := 0; n < 10 && len(conflicts(s.t, s.c.Host("a"))) > 0; n++ {
		s.resolve(s.c.Host(s.joined[s.chance.IntN(len(s.joined))]))
		s.c.Settle(s.bound())
		s.spread()
	}
	for _, h := range s.c.Hosts() {
		if list := conflicts(s.t, h); len(list) > 0 {
			s.t.Errorf("%s still has %q in conflict", h.Name(), list)
		}
	}
}

// spread waits until the hosts have the same conflicts, down to versions. A decision for the version that readers see already
// shows in no row.
func (s *simulation) spread() {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		diff := ""
		want := s.heads(s.c.Host("a"))
		for _, h := range s.c.Hosts() {
			if got := s.heads(h); !slices.Equal(got, want) {
				diff = fmt.Sprintf("in conflict are %q on a and %q on %s", want, got, h.Name())
			}
		}
		if diff == "" {
			return
		}
		if time.Since(began) > s.bound() {
			s.t.Errorf("after %s %s", s.bound(), diff)
			return
		}
	}
}

// heads are the versions in conflict on a host.
func (s *simulation) heads(h *hosttest.Host) (list []string) {
	s.t.Helper()
	for _, key := range s.contested(h) {
		heads := h.History(key).GetHeads()
		slices.Sort(heads)
		list = append(list, fmt.Sprint(key, heads))
	}
	return list
}

func (s *simulation) contested(h *hosttest.Host) (keys []string) {
	for _, text := range conflicts(s.t, h) {
		var key string
		if _, err := fmt.Sscan(text, &key); err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// resolve decides all conflicts of a host, in one of three ways each.
func (s *simulation) resolve(h *hosttest.Host) {
	s.t.Helper()
	for i, key := range s.contested(h) {
		r := &nodev1.Resolution{Collection: hosttest.Collection, Key: key}
		switch i % 3 {
		case 0:
			r.Result = side(nodev1.Side_SIDE_REMOTE)
		case 1:
			r.Result = &nodev1.Resolution_Delete{Delete: true}
		default:
			r.Result = &nodev1.Resolution_Merge{Merge: &nodev1.Merge{Value: []byte(`"decided"`)}}
		}
		_, err := h.API().ResolveConflicts(s.t.Context(), &nodev1.ResolveConflictsRequest{
			Database: hosttest.Database, Resolutions: []*nodev1.Resolution{r},
		})
		s.tell("%s decides about %s: %v", h.Name(), key, err)
		if err != nil {
			s.t.Errorf("%s decides about %s: %v", h.Name(), key, err)
		}
	}
}
