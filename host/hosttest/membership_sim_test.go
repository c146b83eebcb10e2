package hosttest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// comings is one random history of comings and goings.
type comings struct {
	t      *testing.T
	random *rand.Rand
	c      *hosttest.Cluster
	began  time.Time
	story  []string
	// written are the keys of acknowledged writes; each key is written once, so none of them may be missing in the end.
	written map[string]string
}

// Random histories in which members leave, are ejected, come back, and change the specification, while links are cut and
// daemons crash, end with the same rows, members and specification everywhere, and lose no write that was acknowledged.
func TestRandomMembershipConverges(t *testing.T) {
	for _, seed := range histories(t, 2, 1104, 1504) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &comings{t: t, random: rand.New(rand.NewPCG(seed, 3)), began: time.Now(), written: map[string]string{}}
				defer func() {
					if t.Failed() {
						t.Logf("what happened:\n%s\nreplay with: %s", strings.Join(s.story, "\n"), replay("TestRandomMembershipConverges", seed))
					}
				}()
				s.c = hosttest.New(t, hosttest.Options{
					Seed: seed, Hosts: []string{"a", "b", "c", "d"}[:2+s.random.IntN(3)],
					MaxSkew: []time.Duration{0, time.Minute}[s.random.IntN(2)],
				})
				s.c.Share()
				for range 30 + s.random.IntN(30) {
					s.step()
					time.Sleep(time.Duration(s.random.IntN(3000)) * time.Millisecond)
				}
				s.finish()
			})
		})
	}
}

func (s *comings) tell(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%9s ", time.Since(s.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// one returns a random host that is not left out.
func (s *comings) one(but *hosttest.Host) *hosttest.Host {
	for {
		if h := s.c.Hosts()[s.random.IntN(len(s.c.Hosts()))]; h != but {
			return h
		}
	}
}

func (s *comings) step() {
	h := s.one(nil)
	other := s.one(h)
	if !h.Running() {
		s.tell("start %s", h.Name())
		h.Start()
		return
	}
	switch n := s.random.IntN(100); {
	case n < 35:
		s.write(h)
	case n < 45:
		s.say(h, "leave", s.leave(h))
	case n < 65:
		if other.Running() {
			s.say(h, "join at "+other.Name(), s.join(h, other))
		}
	case n < 72:
		_, err := h.API().EjectMember(s.t.Context(), &nodev1.EjectMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: other.Name()})
		s.say(h, "eject "+other.Name(), err)
	case n < 78:
		s.say(h, "allow "+other.Name(), s.allow(h, other))
	case n < 84:
		_, err := h.API().SetSyncgroupSpec(s.t.Context(), &nodev1.SetSyncgroupSpecRequest{
			Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Spec: fmt.Appendf(nil, `{"description":"%d","private":%t}`, s.random.IntN(9), s.random.IntN(2) == 0),
		})
		s.say(h, "change the specification", err)
	case n < 90:
		s.tell("cut %s and %s", h.Name(), other.Name())
		s.c.Partition([]string{h.Name()}, []string{other.Name()})
	case n < 96:
		s.tell("heal")
		s.c.Heal()
	default:
		s.tell("crash %s", h.Name())
		h.Crash()
	}
}

// say notes what came of something; what the state of the syncgroup forbids is part of the history.
func (s *comings) say(h *hosttest.Host, what string, err error) {
	s.t.Helper()
	s.tell("%s: %s: %v", h.Name(), what, err)
	switch status.Code(err) {
	case codes.OK, codes.FailedPrecondition, codes.NotFound, codes.PermissionDenied, codes.Unavailable, codes.DeadlineExceeded:
	default:
		s.t.Errorf("%s: %s: %v", h.Name(), what, err)
	}
}

func (s *comings) write(h *hosttest.Host) {
	key, value := fmt.Sprintf("%s-%d", h.Name(), len(s.story)), fmt.Sprint(s.random.IntN(100))
	_, err := h.TryCommit(s.t.Context(), hosttest.Put(key, value))
	s.say(h, "write "+key, err)
	if err == nil {
		s.written[key] = value
	}
}

func (s *comings) leave(h *hosttest.Host) error {
	_, err := h.API().LeaveSyncgroup(s.t.Context(), &nodev1.LeaveSyncgroupRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup})
	return err
}

func (s *comings) allow(h, other *hosttest.Host) error {
	_, err := h.API().AllowMember(s.t.Context(), &nodev1.AllowMemberRequest{Database: hosttest.Database, Syncgroup: hosttest.Syncgroup, Member: other.Name()})
	return err
}

func (s *comings) join(h, at *hosttest.Host) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	return h.TryJoin(ctx, hosttest.Syncgroup, at)
}

// finish brings everybody back to the last one that is a member, and compares.
func (s *comings) finish() {
	s.c.Heal()
	for _, h := range s.c.Hosts() {
		if !h.Running() {
			h.Start()
		}
	}
	// What comes to light when somebody is back may put others out again.
	for range 8 {
		time.Sleep(5 * time.Minute)
		done, possible := s.gather()
		if !possible {
			return // everybody has left: there is nobody to join at
		}
		if done {
			break
		}
	}
	s.c.Settle(10 * time.Minute)
	for _, h := range s.c.Hosts() {
		rows := h.Rows()
		for key, value := range s.written {
			if rows[key] != value {
				s.t.Errorf("%s has %q for %s, which was written as %s", h.Name(), rows[key], key, value)
			}
		}
	}
}

// gather lets everybody who is out join at somebody who is in, and reports whether nobody was out, and whether somebody was
// in.
func (s *comings) gather() (done, possible bool) {
	s.t.Helper()
	var at *hosttest.Host
	for _, h := range s.c.Hosts() {
		s.tell("%s is %s", h.Name(), state(s.t, h))
		if state(s.t, h) == "member" {
			at = h
		}
	}
	if at == nil {
		return false, false
	}
	s.tell("%s has the members %s", at.Name(), members(at))
	done = true
	for _, h := range s.c.Hosts() {
		if h == at || state(s.t, h) == "member" && strings.Contains(" "+members(at)+" ", " "+h.Name()+" ") {
			continue
		}
		done = false
		s.say(at, "allow "+h.Name(), s.allow(at, h))
		s.say(h, "join at "+at.Name(), s.join(h, at))
	}
	return done, true
}
