package host

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// featureRefusals is said in Hello by daemons that want to hear what others refuse.
const featureRefusals = "refusals"

// maxElsewhere bounds what is remembered of what others refuse, in all.
const maxElsewhere = 2000

func (h *Host) hearsRefusals() bool { return slices.Contains(h.opts.Seams.Features, featureRefusals) }

// refusalBook returns who takes note of what others refuse, nobody in a daemon that does not say that it does.
func (h *Host) refusalBook() peer.RefusalBook {
	if !h.hearsRefusals() {
		return nil
	}
	return &h.refusals
}

// setAside is told once of each commit that this device refuses.
func (h *Host) setAside(db *rows.DB, from engine.Peer, letters []rows.Letter) {
	for _, l := range letters {
		h.log.Warn("refused a commit and set it aside; 'syncbase peer refused' lists it", "database", db.Name(), "peer", from.Name,
			"id", l.ID, "writer", l.Writer, "generation", l.Least, "records", l.Records, "bytes", l.Bytes, "code", l.Code, "reason", l.Reason)
	}
	h.tellRefusing()
}

func (h *Host) retried(db *rows.DB, got rows.Retried) {
	h.log.Info("took commits that had been refused", "database", db.Name(), "commits", got.Applied, "records", got.Got.Records)
	// Whoever sent them may be gone by now; the fetcher asks who has the blobs.
	h.arrived(id.Device{}, got.Got.Fresh)
	h.tellRefusing()
}

func (h *Host) retryFailed(db *rows.DB, err error) {
	h.log.Warn("cannot try again what was refused", "database", db.Name(), "error", err)
}

// tellRefusing wakes those who tell peers what this device refuses.
func (h *Host) tellRefusing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.refusing)
	h.refusing = make(chan struct{})
}

// refusingChanges is closed when what this device refuses has changed.
func (h *Host) refusingChanges() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refusing
}

// reportAgain is the pause before a peer that could not be told what is refused is told again.
const reportAgain = 30 * time.Second

// reportRefused tells a peer what this device refuses of what both share, whenever that has changed, until the link ends.
func (h *Host) reportRefused(ctx context.Context, link *peer.Link) {
	if !link.Has(featureRefusals) || !h.hearsRefusals() {
		return
	}
	told := toldRefused{}
	for ctx.Err() == nil {
		changed := h.refusingChanges()
		var again <-chan time.Time
		if err := h.tellRefused(ctx, link, told); err != nil && ctx.Err() == nil {
			h.log.Debug("cannot tell a peer what is refused", "peer", link.Peer().Name, "error", err)
			again = time.After(reportAgain)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// toldRefused is what the peer at the other end of a link believes to be refused, by database. Of one that is not in it that
// is not known: it may remember something from an earlier link.
type toldRefused map[id.Name][]peer.Refused

// tellRefused tells what the peer does not know yet. It goes on after an error, and returns the errors after which to try again.
func (h *Host) tellRefused(ctx context.Context, link *peer.Link, told toldRefused) error {
	dbs, _ := h.rows.Databases()
	lists, failed := toldRefused{}, error(nil)
	for name := range told {
		lists[name] = nil // unless there still is such a database
	}
	for _, db := range dbs {
		letters, err := h.engine.LettersFor(db, link.Peer().Principal)
		if err != nil {
			failed = errors.Join(failed, err)
			delete(lists, db.Name())
		} else if _, known := told[db.Name()]; known || len(letters) > 0 || h.sharesWith(db, link) {
			lists[db.Name()] = refusedOf(letters)
		}
	}
	for name, list := range lists {
		if before, known := told[name]; known && reflect.DeepEqual(list, before) {
			continue
		}
		delete(told, name)
		err := link.ReportRefused(ctx, name, list)
		switch {
		case err == nil:
			told[name] = list
		case len(list) > 0 || !errors.Is(err, peer.ErrNotFound):
			failed = errors.Join(failed, fmt.Errorf("database %s: %w", name, err))
		}
	}
	return failed
}

func (h *Host) sharesWith(db *rows.DB, link *peer.Link) bool {
	shares, err := h.engine.Shares(db, link.Peer().Principal)
	return err == nil && shares
}

func refusedOf(letters []rows.Letter) []peer.Refused {
	if len(letters) == 0 {
		return nil
	}
	list := make([]peer.Refused, len(letters))
	for i, l := range letters {
		list[i] = peer.Refused{
			Writer: l.Writer, Generation: l.Least, Records: uint32(l.Records), Bytes: uint64(l.Bytes), Collections: l.Collections,
			Keys: l.Keys, Code: string(l.Code), Reason: l.Reason, Since: l.Since, Tried: l.Tried, Tries: uint32(l.Tries),
		}
	}
	return list
}

// refusalBook is what peers have said they refuse, since this daemon started. Each replaces what it said before.
type refusalBook struct {
	h *Host
	// mu guards the fields below it.
	mu sync.Mutex
	of map[id.Name]map[id.Principal][]peer.Refused
	n  int
}

// Note implements peer.RefusalBook.
func (b *refusalBook) Note(_ context.Context, caller peer.Caller, database id.Name, list []peer.Refused) error {
	db, err := b.h.rows.Database(database)
	if err != nil {
		return fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	shares, err := b.h.engine.Shares(db, caller.Principal)
	if err != nil {
		return err
	}
	if !shares {
		b.replace(caller.Principal, database, nil) // it says it again when it shares something
		return fmt.Errorf("%w: no syncgroup of %s in common", peer.ErrNotFound, database)
	}
	for _, r := range b.replace(caller.Principal, database, list) {
		b.h.log.Warn("a member refuses a commit; 'syncbase peer refused' lists it", "database", database, "peer", caller.Name,
			"writer", r.Writer, "generation", r.Generation, "code", r.Code, "reason", r.Reason)
	}
	return nil
}

// replace returns what is new.
func (b *refusalBook) replace(p id.Principal, database id.Name, list []peer.Refused) (fresh []peer.Refused) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.of[database][p]
	b.n -= len(before)
	list = list[:min(len(list), maxElsewhere-b.n)]
	b.n += len(list)
	for _, r := range list {
		same := func(o peer.Refused) bool { return o.Writer == r.Writer && o.Generation == r.Generation }
		if !slices.ContainsFunc(before, same) {
			fresh = append(fresh, r)
		}
	}
	switch {
	case len(list) == 0:
		delete(b.of[database], p)
		if len(b.of[database]) == 0 {
			delete(b.of, database)
		}
	case b.of == nil:
		b.of = map[id.Name]map[id.Principal][]peer.Refused{database: {p: list}}
	case b.of[database] == nil:
		b.of[database] = map[id.Principal][]peer.Refused{p: list}
	default:
		b.of[database][p] = list
	}
	return fresh
}

// refusals tells clients what is refused where.
type refusals struct{ h *Host }

// Elsewhere implements api.Refusals. Who is no member any more is not listed.
func (r refusals) Elsewhere(db *rows.DB) ([]api.Refused, error) {
	b := &r.h.refusals
	b.mu.Lock()
	of := map[id.Principal][]peer.Refused{}
	for p, list := range b.of[db.Name()] {
		of[p] = list
	}
	b.mu.Unlock()
	var all []api.Refused
	for p, list := range of {
		shares, err := r.h.engine.Shares(db, p)
		if err != nil {
			return nil, err
		}
		if !shares {
			continue
		}
		for _, x := range list {
			all = append(all, api.Refused{
				By: p, Writer: x.Writer, Generation: x.Generation, Records: uint64(x.Records), Bytes: x.Bytes, Collections: x.Collections,
				Keys: x.Keys, Code: x.Code, Reason: x.Reason, Since: x.Since, Tried: x.Tried, Tries: uint64(x.Tries),
			})
		}
	}
	slices.SortStableFunc(all, func(a, b api.Refused) int { return a.Since.Compare(b.Since) })
	return all, nil
}

// Retry implements api.Refusals.
func (r refusals) Retry(ctx context.Context, db *rows.DB, want func(rows.Letter) bool) (rows.Retried, error) {
	return r.h.engine.RetryLetters(ctx, db, want)
}

// Discarded implements api.Refusals.
func (r refusals) Discarded(db *rows.DB, by id.Principal, got rows.Discarded) {
	r.h.log.Warn("gave up a refused commit, for every member", "database", db.Name(), "by", by,
		"writer", got.Commit.Writer, "generation", got.Commit.Gen, "records", got.Records, "rows", got.Written)
	r.h.tellRefusing()
}

// allApplied says what keeps a member from being level although it holds what its peers hold.
func allApplied(db *rows.DB, g syncgroup.Group) error {
	letters := db.LettersOf(g.Spec.Scopes(g.Name))
	if len(letters) == 0 {
		return nil
	}
	what, first := "1 commit", ""
	if n := len(letters); n > 1 {
		what, first = fmt.Sprintf("%d commits", n), "the first: "
	}
	return fmt.Errorf("%w: this device refuses %s of %s (%s%s); see 'syncbase peer refused', and 'syncbase peer retry' when that is mended",
		api.ErrPrecondition, what, g.Name, first, letters[0].Reason)
}
