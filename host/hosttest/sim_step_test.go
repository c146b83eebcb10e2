package hosttest_test

import (
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// standIn returns the member of that name, or the member that stands in for it.
func (s *simulation) standIn(name string) string {
	if i := slices.Index(s.plan.Hosts, name); i >= 0 {
		return s.joined[i%len(s.joined)]
	}
	return s.joined[0]
}

// step does what is planned, and lets some time pass.
func (s *simulation) step(p step) {
	member := s.standIn(p.Host)
	switch p.Do {
	case doWrite:
		s.write(member, p.Batches[0])
	case doInner:
		s.writeInner(p)
	case doLimit:
		s.tell("let %d bytes a second through from %s to %s", p.N, p.Host, p.Other)
		s.c.Limit(p.Host, p.Other, p.N)
	case doLie:
		s.lie(member)
	case doCopy:
		s.copyOne(member, p.Batches[0])
	case doPause, doAccess, doQuota:
		s.administer(member, p)
	case doJoin:
		s.join()
	case doCrash:
		s.crash(p)
	case doClock, doSnapshot, doSetBack:
		s.disturb(member, p)
	case doStop:
		s.tell("stop %s", p.Host)
		s.c.Host(p.Host).Stop()
		s.truth.restart(p.Host) // not before: a pull that begins while it stops is of the run that ends
	case doStart:
		s.startAll()
	case doLose, doStrand, doAskAgain:
		s.blow(p)
	default:
		s.trouble(p)
	}
	if !s.mended() {
		s.whole(s.standIn(p.Looked[0]))
	}
	s.truthful(s.standIn(p.Looked[1]))
	time.Sleep(p.Pause)
}

// trouble is what befalls the network.
func (s *simulation) trouble(p step) {
	s.t.Helper()
	switch p.Do {
	case doCut:
		s.tell("cut %s to %s", p.Host, p.Other)
		s.c.Cut(p.Host, p.Other)
	case doPart:
		s.tell("part %v from %v", p.Sides[0], p.Sides[1])
		s.c.Partition(p.Sides[0], p.Sides[1])
	case doHeal:
		s.tell("heal")
		s.c.Heal()
	case doReset:
		s.tell("reset %s and %s", p.Host, p.Other)
		s.c.Reset(p.Host, p.Other)
	default:
		s.t.Fatalf("nobody knows how to %s", p.Do)
	}
}

func (s *simulation) startAll() {
	for _, h := range s.c.Hosts() {
		if !h.Running() {
			s.tell("start %s", h.Name())
			h.Start()
		}
	}
}

// crash cuts the power of a host that is writing.
func (s *simulation) crash(p step) {
	name := p.Host
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	var writers sync.WaitGroup
	if slices.Contains(s.joined, name) {
		for _, b := range p.Batches {
			ops, writes := s.compose(name, b)
			api := h.API()
			writers.Go(func() { s.commit(h, api, ops, writes) })
		}
	}
	s.tell("crash %s", name)
	s.truth.restart(name)
	s.truth.release(name) // progress without commits is not on the disk until the next step, and is learned again
	h.Crash()
	s.truth.restart(name)
	writers.Wait()
	if p.On {
		s.tell("start %s", name)
		h.Start()
	}
}

// private are the keys that a host alone writes, always all of them together.
func private(host string) []string { return []string{host + "/1", host + "/2", host + "/3"} }

// compose returns what a host is told to write, and what it means.
func (s *simulation) compose(name string, b batch) (ops []*nodev1.Op, writes []write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := b.Keys
	if b.Private {
		keys = private(name)
	}
	for _, key := range keys {
		s.begun[name]++
		writes = append(writes, write{host: name, key: key, value: b.Value, number: s.begun[name]})
		if b.Value == "" {
			ops = append(ops, hosttest.Delete(key))
		} else {
			ops = append(ops, hosttest.Put(key, b.Value))
		}
	}
	return ops, writes
}

func (s *simulation) write(name string, b batch) {
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	ops, writes := s.compose(name, b)
	s.commit(h, h.API(), ops, writes)
}

// commit sends a batch and takes note of the answer. Only a host that was crashed while it wrote may give none.
func (s *simulation) commit(h *hosttest.Host, api nodev1.NodeServiceClient, ops []*nodev1.Op, writes []write) {
	resp, err := api.Commit(s.t.Context(), &nodev1.CommitRequest{Database: hosttest.Database, Ops: ops})
	for i, w := range writes {
		if err == nil {
			w.version = resp.GetVersions()[i]
		}
		unsure := err != nil || h == s.twin // what a copy alone has is lost with it
		if err == nil && w.version != "" {
			if hist, err := api.History(s.t.Context(), &nodev1.HistoryRequest{
				Database: hosttest.Database, Collection: hosttest.Collection, Key: w.key,
			}); err == nil {
				w.time = timeIn(hist, w.version)
			}
		}
		s.mu.Lock()
		if unsure {
			w.version, w.time = "", time.Time{}
			s.doubtful[w.key] = append(s.doubtful[w.key], w)
		} else if w.version != "" {
			s.acknowledged[w.key] = append(s.acknowledged[w.key], w)
		}
		s.mu.Unlock()
	}
	s.tell("%s writes %s=%s and %d more: %v", h.Name(), writes[0].key, writes[0].value, len(writes)-1, err)
}

// timeIn returns the time of a version, zero if it is not in the history.
func timeIn(h *nodev1.HistoryResponse, version string) time.Time {
	for _, v := range h.GetVersions() {
		if v.GetVersion() == version {
			return v.GetTime().AsTime()
		}
	}
	return time.Time{}
}
