package host

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// viaSyncgroup is the source of addresses that members have published in a syncgroup.
const viaSyncgroup = "syncgroup"

// maxMembers bounds the members whose addresses are told to the sessions.
const maxMembers = 1024

// introduceMembers makes the members of syncgroups known to each other, until ctx ends: it publishes where this device is
// reached in its registers, and tells the sessions what the registers of the others say. Each database has a goroutine,
// and all of them have ended when it returns.
func (h *Host) introduceMembers(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	found := &directory{sessions: h.peers, registers: map[*rows.DB]memberAddresses{}}
	running := map[*rows.DB]context.CancelFunc{}
	for {
		dbs, changed := h.rows.Databases()
		for db, stop := range running {
			if !slices.Contains(dbs, db) {
				stop()
				delete(running, db)
			}
		}
		for _, db := range dbs {
			if running[db] != nil {
				continue
			}
			dbCtx, stop := context.WithCancel(ctx)
			defer stop()
			running[db] = stop
			all.Go(func() { h.introduceIn(dbCtx, db, found) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// introduceIn does it for one database, again whenever the metadata of a syncgroup has changed, and when a link came up:
// this machine may be in another network than before.
func (h *Host) introduceIn(ctx context.Context, db *rows.DB, found *directory) {
	for {
		meta, linked := db.Published().Meta, h.nextLink()
		registers, err := h.announceIn(db)
		if err == nil {
			err = syncgroup.Enforce(db)
			h.tellPublisher()
			h.tellRefusing() // others may share now what is refused here
			h.apart.stir("")
		}
		switch {
		case errors.Is(err, rows.ErrDestroyed):
		case err != nil:
			h.log.Warn("cannot make the members of syncgroups known to each other", "database", db.Name(), "error", err)
		default:
			h.tellFailure(found.update(db, registers))
		}
		// What is shared with a copy of this device is looked at again after a while.
		wait := h.copies.sharing(h.opts.Seams.Now())
		if wait <= 0 {
			wait = shareRegister
		}
		again := time.NewTimer(wait)
		changed := untilMeta(ctx, db, meta, linked, again.C)
		again.Stop()
		if !changed {
			break
		}
	}
	h.copies.forget(db)
	h.tellFailure(found.update(db, nil))
}

func (h *Host) tellFailure(err error) {
	if err != nil {
		h.log.Debug("address of a member of no use", "error", err)
	}
}

// untilMeta waits for metadata other than meta, for linked or for again, and reports false when ctx ends first.
func untilMeta(ctx context.Context, db *rows.DB, meta uint64, linked <-chan struct{}, again <-chan time.Time) bool {
	for ctx.Err() == nil {
		state, more := db.More()
		if state.Meta != meta {
			return true
		}
		select {
		case <-more:
		case <-linked:
			return true
		case <-again:
			return true
		case <-ctx.Done():
		}
	}
	return false
}

// nextLink returns what is closed when the next link comes up.
func (h *Host) nextLink() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.linked
}

// tellLink wakes everybody who waits for a link.
func (h *Host) tellLink() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.linked)
	h.linked = make(chan struct{})
}

// announceIn publishes where this device is reached in the database's syncgroups, and returns where the others are.
func (h *Host) announceIn(db *rows.DB) (memberAddresses, error) {
	machine, err := machineAddresses()
	if err != nil {
		return nil, err
	}
	listening := h.PeerAddresses()
	self, here := h.identity.Principal(), reachable(listening, machine)
	own := spread(listening, slices.Concat(machine, loopback))
	groups, err := syncgroup.All(db)
	if err != nil {
		return nil, err
	}
	registers := memberAddresses{}
	for _, g := range groups {
		if err := h.announce(db, g.Name, here); err != nil {
			return nil, err
		}
		members, err := syncgroup.Members(db, g.Name)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.Principal == self || !g.Spec.Permissions.Allows(m.Principal, perm.Read) {
				continue
			}
			registers.add(m.Principal, others(m.Reachable(), own))
		}
	}
	return registers, nil
}

// others returns the addresses that are not our own.
func others(addresses []string, own []netip.AddrPort) []string {
	return slices.DeleteFunc(addresses, func(a string) bool {
		at, err := netip.ParseAddrPort(a)
		return err == nil && slices.Contains(own, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
	})
}

// memberAddresses are the addresses of members.
type memberAddresses map[id.Principal][]string

// add adds what another register of the same member says.
func (m memberAddresses) add(p id.Principal, addresses []string) {
	for _, a := range addresses {
		if !slices.Contains(m[p], a) && len(m[p]) < syncgroup.MaxAddresses {
			m[p] = append(m[p], a)
		}
	}
}

// directory holds what all registers say, and keeps the sessions told. Safe for concurrent use.
type directory struct {
	sessions interface {
		AddAddress(source string, addresses ...string) error
		RemoveAddress(source string, addresses ...string)
	}
	// mu guards the fields below it, and orders what the sessions are told.
	mu sync.Mutex
	// registers of each database.
	registers map[*rows.DB]memberAddresses
	told      memberAddresses
}

// update replaces what the registers of the database say, and tells the sessions what has changed by that.
func (d *directory) update(db *rows.DB, registers memberAddresses) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(registers) == 0 {
		delete(d.registers, db)
	} else {
		d.registers[db] = registers
	}
	before, now := d.told, d.telling()
	d.told = now
	var err error
	kept := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(now)) {
		for _, a := range now[p] {
			kept[a] = true
		}
		if !slices.Equal(now[p], before[p]) {
			err = errors.Join(err, d.sessions.AddAddress(viaSyncgroup, now[p]...))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(before)) {
		gone := slices.DeleteFunc(slices.Clone(before[p]), func(a string) bool { return kept[a] })
		if len(gone) > 0 {
			d.sessions.RemoveAddress(viaSyncgroup, gone...)
		}
	}
	return err
}

// telling returns what the sessions are to be told. An address that several members claim, such as that of a bridge which
// many machines have, says little about who is there: it counts only for a member that has no other.
func (d *directory) telling() memberAddresses {
	all := memberAddresses{}
	dbs := slices.SortedFunc(maps.Keys(d.registers), func(a, b *rows.DB) int { return cmp.Compare(a.Num(), b.Num()) })
	for _, db := range dbs {
		for _, p := range slices.Sorted(maps.Keys(d.registers[db])) {
			if all[p] != nil || len(all) < maxMembers {
				all.add(p, d.registers[db][p])
			}
		}
	}
	claims := map[string]int{}
	for _, addresses := range all {
		for _, a := range addresses {
			claims[a]++
		}
	}
	for p, addresses := range all {
		alone := slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return claims[a] > 1 })
		if len(alone) > 0 {
			all[p] = alone
		}
	}
	return all
}
