package hosttest_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// flavour is what is special about a random history, beside what befalls all of them.
type flavour string

const (
	plain flavour = "nothing special"
	// withRules: conflicts of some rows are left to people, or to a resolver that comes in the end.
	withRules flavour = "rules for conflicts"
	// withOlder: some hosts speak the first version of the protocol.
	withOlder flavour = "older hosts"
	// withLiar: some hosts lie for a while, one at a time.
	withLiar flavour = "a liar"
	// withTwin: a copy of a host's data runs beside it for a while.
	withTwin flavour = "a copy"
)

// repairs tells whether hosts find by comparing what they lack. That comes by name, row by row, so batches are whole only in the
// end.
func (f flavour) repairs() bool { return f == withLiar || f == withTwin }

// flavourOf draws a flavour. Histories with repairs take long to heal, so among the first 200, which belong to the gate, they are
// rare.
func flavourOf(seed uint64, random *rand.Rand) flavour {
	flavours := []flavour{plain, withRules, withOlder, withLiar, withTwin}
	if n := random.IntN(20); seed > 200 || n < 5 {
		return flavours[random.IntN(len(flavours))]
	}
	return flavours[random.IntN(3)]
}

func (s *simulation) tap(from, to string, open *delta.Open) hosttest.Answer {
	heard := s.truth.tap(from, to, open)
	if s.liar.is(from) {
		return s.liar.answer
	}
	return heard
}

// setRules says who decides about which conflicts.
func (s *simulation) setRules(h *hosttest.Host) {
	_, err := h.API().SetSchema(s.t.Context(), &nodev1.SetSchemaRequest{Database: hosttest.Database, Schema: &nodev1.Schema{
		Version: 1, Policy: []byte(`{"rules":[{"collection":"notes","prefix":"open/","resolver":"defer"},{"collection":"notes","prefix":"app/","resolver":"app"}]}`),
	}})
	if err != nil {
		s.t.Errorf("%s: set rules: %v", h.Name(), err)
	}
}

// left tells whether conflicts of the row are left to somebody.
func left(key string) bool { return strings.HasPrefix(key, "open/") || strings.HasPrefix(key, "app/") }

// createInner makes a collection that hosts a and b share with each other alone.
func (s *simulation) createInner() {
	api, ctx := s.c.Host("a").API(), s.t.Context()
	_, err := api.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: inner})
	if err == nil {
		_, err = api.CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
			Database: hosttest.Database, Syncgroup: inner, Collections: []*nodev1.SyncgroupCollection{{Collection: inner}},
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// writeInner writes what the others must not see, or lets b share it.
func (s *simulation) writeInner(p step) {
	a, b := s.c.Host("a"), s.c.Host("b")
	if p.On && a.Running() && b.Running() && slices.Contains(s.joined, "b") {
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		defer cancel()
		s.sharing = true
		s.tell("b joins %s: %v", inner, b.TryJoin(ctx, inner, a))
	} else if a.Running() {
		put := &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: inner, Key: fmt.Sprint("inner ", p.N), Value: []byte("1")}}}
		_, err := a.TryCommit(s.t.Context(), put)
		s.tell("a writes to %s: %v", inner, err)
	}
}

// shareInner lets b join once more what it joined or tried to: it may have been admitted and never heard of it, or been set back
// since. A member that knows nothing of its membership says nothing of what it holds, and nobody can forget anything.
func (s *simulation) shareInner() {
	s.t.Helper()
	if !s.sharing {
		return
	}
	for healed := time.Now(); ; time.Sleep(time.Second) {
		ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
		err := s.c.Host("b").TryJoin(ctx, inner, s.c.Host("a"))
		cancel()
		s.tell("b joins %s again: %v", inner, err)
		if err == nil || status.Code(err) == codes.FailedPrecondition { // it is a member
			return
		}
		if time.Since(healed) > s.bound() {
			s.t.Fatalf("b cannot join %s: %v", inner, err)
		}
	}
}

// lie makes a host the one that lies.
func (s *simulation) lie(name string) {
	s.tell("%s lies", name)
	for _, h := range s.c.Hosts() { // who hears invented things repeats them
		s.truth.release(h.Name())
	}
	s.liar.become(name)
	s.resetAll(name)
}

func (s *simulation) resetAll(name string) {
	for _, h := range s.c.Hosts() {
		s.c.Reset(name, h.Name())
	}
}

// copyOne starts a copy, or lets the one that runs write.
func (s *simulation) copyOne(name string, b batch) {
	if s.twin != nil {
		ops, writes := s.compose(s.twin.Name(), b)
		s.tell("the copy writes")
		s.commit(s.twin, s.twin.API(), ops, writes)
		return
	}
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	s.tell("copy %s", h.Name())
	s.truth.release(h.Name())
	s.setBack[h.Name()] = true
	s.twin = h.Twin()
}

// mend ends what was special.
func (s *simulation) mend() {
	for _, from := range s.c.Hosts() {
		for _, to := range s.c.Hosts() {
			s.c.Limit(from.Name(), to.Name(), 0)
			s.c.Lose(from.Name(), to.Name(), 0)
		}
	}
	if s.twin != nil {
		s.twin.Stop()
	}
	if s.plan.Flavour == withLiar {
		s.liar.become("")
		for _, h := range s.c.Hosts() {
			s.resetAll(h.Name())
		}
	}
}

// truthful checks that a host has what it says that it holds: of each row that, or something later.
func (s *simulation) truthful(name string) {
	s.t.Helper()
	h := s.c.Host(name)
	if !h.Running() || s.plan.Flavour.repairs() || s.setBack[name] || s.refusing(name) {
		return
	}
	for _, w := range s.claimed(name) {
		hist, found := s.history(name, w.key)
		if !found {
			if !s.forgotten(w.key, w.time) {
				s.t.Errorf("%s said that it holds %s of %s, and knows nothing of the row", name, w.version, w.key)
			}
			continue
		}
		if at := timeIn(hist, hist.GetHead()); at.Before(w.time) {
			s.t.Errorf("%s said that it holds %s of %s, written at %s, and has %s of %s", name, w.version, w.key, w.time, hist.GetHead(), at)
		}
	}
}

// claimed are some of the acknowledged writes that the host has said it holds.
func (s *simulation) claimed(name string) (list []write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.truth.held(name, hosttest.Collection)
	for key, writes := range s.acknowledged {
		for _, w := range writes {
			v, err := id.ParseVersion(w.version)
			if err != nil {
				s.t.Fatal(err)
			}
			if !s.setBack[w.host] && !w.time.IsZero() && held.Covers(v) {
				w.key = key
				list = append(list, w)
			}
		}
	}
	slices.SortFunc(list, func(a, b write) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.version, b.version)) })
	s.chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(len(list), 12)]
}
