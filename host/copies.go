package host

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// Somebody who copies a data directory with its identity and runs both has two daemons with one name. Each writes as a writer
// of its own and peers take from both, so nothing is lost; but they share one membership and one place in access lists, and
// whoever did that probably did not mean to. A daemon learns that it has a copy when the two meet, and when its register
// in a syncgroup is written by its device as another writer: then the copy announces where it is.

const (
	// shareRegister is how long the copies leave each other's addresses in the register that they share. After that, one of
	// them takes the other's out, and the other, if it still runs, puts them back.
	shareRegister = 10 * time.Minute
	// copyForgotten is how long after the last sign of it a copy is told of.
	copyForgotten = shareRegister + 2*time.Minute
)

// adviceOnCopies is what somebody has to do.
const adviceOnCopies = "stop one of them, give it an identity of its own and an empty data directory, and let it join again"

// ownCopies is what a daemon knows of copies of itself. Safe for concurrent use.
type ownCopies struct {
	// mu guards the fields below it.
	mu sync.Mutex
	// met are the runs of copies that were met.
	met map[[16]byte]bool
	// address where a copy was met last, empty if only its writes were seen.
	address     string
	since, last time.Time
	registers   map[registerKey]*registerSeen
}

type registerKey struct {
	db   *rows.DB
	name id.Name
}

// registerSeen is the past of this device's register while this daemon runs.
type registerSeen struct {
	// own are the writers that this device has been, and last the time of the last version by one of them: a hybrid one, since by the
	// clock alone a copy that is behind answers at the same moment.
	own  map[id.Writer]bool
	last hlc.Time
}

func newOwnCopies() *ownCopies {
	return &ownCopies{met: map[[16]byte]bool{}, registers: map[registerKey]*registerSeen{}}
}

// meet takes note of a copy that was met, and reports whether it is news: it is not beyond maxTwins.
func (c *ownCopies) meet(now time.Time, instance [16]byte, address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sign(now)
	c.address = address
	if c.met[instance] || len(c.met) == maxTwins {
		return false
	}
	c.met[instance] = true
	return true
}

// sign takes note of a sign of life, and reports whether it is the first. The caller holds mu.
func (c *ownCopies) sign(now time.Time) bool {
	first := now.Sub(c.last) >= copyForgotten
	if first {
		c.since, c.address = now, ""
	}
	c.last = now
	return first
}

// look takes note of who wrote this device's register, and reports whether a copy of the device did, as far as not known.
func (c *ownCopies) look(now time.Time, db *rows.DB, name id.Name, w syncgroup.Written) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := registerKey{db, name}
	seen := c.registers[key]
	if seen == nil {
		seen = &registerSeen{own: map[id.Writer]bool{}}
		c.registers[key] = seen
	}
	self := db.Writer()
	switch {
	case w.By == self:
		seen.own[self], seen.last = true, w.At
	case w.By.Device == self.Device && len(seen.own) > 0 && !seen.own[w.By] && w.At > seen.last:
		return c.sign(now)
	}
	return false
}

// forget drops what is known of a database.
func (c *ownCopies) forget(db *rows.DB) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.registers {
		if key.db == db {
			delete(c.registers, key)
		}
	}
}

// sharing returns for how long registers are still shared with a copy; not at all if that is not positive.
func (c *ownCopies) sharing(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.Add(shareRegister).Sub(now)
}

// running tells since when a copy has been known to run, and where; false if none is.
func (c *ownCopies) running(now time.Time) (since time.Time, address string, running bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since, c.address, !c.last.IsZero() && now.Sub(c.last) < copyForgotten
}

// announce writes where this device is reached into its register, beside what a copy of it has written.
func (h *Host) announce(db *rows.DB, name id.Name, here []string) error {
	now := h.opts.Seams.Now()
	w, err := syncgroup.RegisterWritten(db, name, h.identity.Principal())
	if err != nil {
		return err
	}
	if h.copies.look(now, db, name, w) {
		h.log.Error("another daemon runs with the keys and the data of this device: it writes in its name. Its data directory was copied; "+adviceOnCopies,
			"syncgroup", name, "database", db.Name())
	}
	how := syncgroup.Announcement{Addresses: here, Beside: h.copies.sharing(now) > 0}
	return syncgroup.Announce(db, name, h.identity.Principal(), how)
}

// metCopies tells that two daemons with the keys of a peer are in touch with this one.
func (h *Host) metCopies(c peer.Copies) {
	h.log.Error("several daemons run with the keys of one peer: its data directory was copied. What all of them write is taken; "+adviceOnCopies,
		"peer", c.Name, "principal", c.Principal, "addresses", c.Addresses)
}

// copyAlarms are about copies of devices that run.
func (h *Host) copyAlarms() []api.Alarm {
	var list []api.Alarm
	if since, address, running := h.copies.running(h.opts.Seams.Now()); running {
		where := ""
		if address != "" {
			where = ", at " + address
		}
		list = append(list, api.Alarm{
			Kind: "copy", Since: since, Principal: h.identity.Principal(),
			Text: fmt.Sprintf("another daemon runs with the keys and the data of this device%s: %s", where, adviceOnCopies),
		})
	}
	for _, c := range h.peers.Copies() {
		list = append(list, api.Alarm{
			Kind: "copy", Since: c.Since, Principal: c.Principal,
			Text: fmt.Sprintf("%d daemons run with the keys of %s, at %s: %s", len(c.Addresses), c.Name, places(c.Addresses), adviceOnCopies),
		})
	}
	return list
}

// places lists addresses for people.
func places(addresses []string) string {
	list := slices.Clone(addresses)
	for i, a := range list {
		if a == "" {
			list[i] = "an unknown address"
		}
	}
	return strings.Join(list, " and ")
}
