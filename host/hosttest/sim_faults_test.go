package hosttest_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// snapshot is a state that the disk of a host may be put back to.
type snapshot struct {
	hosttest.Snapshot
	// begun is how many writes the host had begun.
	begun int
}

// administer does to a member what its owner does now and then.
func (s *simulation) administer(name string, p step) {
	h := s.c.Host(name)
	if !h.Running() {
		return
	}
	switch p.Do {
	case doPause:
		s.pauseSync(name, p.On)
	case doQuota:
		s.quota(name, p)
	default:
		s.setAccess(name, p.N)
	}
}

// setAccess lets a guest read.
func (s *simulation) setAccess(name string, guest int) {
	h := s.c.Host(name)
	perms, err := h.API().GetPermissions(s.t.Context(), &nodev1.GetPermissionsRequest{Database: hosttest.Database, Collection: hosttest.Collection})
	if err != nil {
		return // the collection has not arrived
	}
	var list map[string]map[string][]string
	if err := json.Unmarshal(perms.GetPermissions(), &list); err != nil {
		s.t.Fatalf("%s: access list %s: %v", name, perms.GetPermissions(), err)
	}
	who := list["Admin"]["in"][0]
	list["Read"]["in"] = []string{who, fmt.Sprint("example.org/guest", guest)}
	raw, err := json.Marshal(list)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = h.API().SetPermissions(s.t.Context(), &nodev1.SetPermissionsRequest{
		Database: hosttest.Database, Collection: hosttest.Collection, Permissions: raw,
	})
	s.tell("%s sets the access list %s: %v", name, raw, err)
}

// pauseSync pauses or resumes syncing on a member.
func (s *simulation) pauseSync(name string, paused bool) {
	_, err := s.c.Host(name).API().UpdateDatabase(s.t.Context(), &nodev1.UpdateDatabaseRequest{
		Database: hosttest.Database, Settings: &nodev1.DatabaseSettings{SyncPaused: &paused},
	})
	s.tell("%s pauses syncing %v: %v", name, paused, err)
	if err != nil {
		s.t.Errorf("%s: pause %v: %v", name, paused, err)
	}
}

// disturb does to a machine what it should be spared.
func (s *simulation) disturb(name string, p step) {
	h := s.c.Host(name)
	switch p.Do {
	case doClock:
		s.tell("set the clock of %s %s off", name, p.Off)
		h.SetClock(p.Off)
	case doSnapshot:
		if h.Running() {
			s.tell("take a snapshot of %s", name)
			s.snapshots[name] = snapshot{h.Snapshot(), s.begun[name]}
		}
	case doSetBack:
		if old, taken := s.snapshots[name]; taken && s.plan.Flavour != withOlder { // without witnesses nobody notices
			s.returnTo(name, old)
		}
	}
}

// returnTo sets a host back. What it has written since may be lost, unless somebody else has it.
func (s *simulation) returnTo(name string, to snapshot) {
	s.tell("set %s back to where it had begun %d of %d writes", name, to.begun, s.begun[name])
	h := s.c.Host(name)
	s.truth.restart(name)
	s.truth.release(name)
	h.SetBack(to.Snapshot)
	s.truth.restart(name)
	s.setBack[name] = true
	delete(s.watches, name)
	h.Unwatch()
	s.mu.Lock()
	for key, list := range s.acknowledged {
		var kept []write
		for _, w := range list {
			if w.host != name || w.number <= to.begun {
				kept = append(kept, w)
				continue
			}
			w.version, w.time = "", time.Time{}
			s.doubtful[key] = append(s.doubtful[key], w)
		}
		if s.acknowledged[key] = kept; len(kept) == 0 {
			delete(s.acknowledged, key)
		}
	}
	s.mu.Unlock()
	h.Start()
}
