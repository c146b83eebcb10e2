package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// featureCompare is said in Hello by daemons that answer comparisons.
const featureCompare = "compare"

// featureContested is said in Hello by daemons that can also count the deletes of rows in conflict.
const featureContested = "compare-contested"

// compare proves now and then that a peer holds the same as this device, for as long as the link is up.
func (h *Host) compare(ctx context.Context, link *peer.Link) {
	if link.Has(featureCompare) && h.compares() {
		with := enginePeer(link.Peer())
		if !link.Has(featureContested) || !slices.Contains(h.opts.Seams.Features, featureContested) {
			with.Counting = delta.CountLive
		}
		h.engine.Compare(ctx, with, link)
	}
}

func (h *Host) compares() bool { return slices.Contains(h.opts.Seams.Features, featureCompare) }

// comparer returns who answers comparisons, nobody in a daemon that does not say that it does.
func (h *Host) comparer() peer.Comparer {
	if !h.compares() {
		return nil
	}
	return comparer{h}
}

func (h *Host) diverged(db *rows.DB, from engine.Peer, d engine.Divergence) {
	h.log.Error("replicas differ although neither lacks anything of the other: records were withheld or lost; what is lacking here was taken by name",
		"database", db.Name(), "peer", from.Name, "scope", d.Scope, "buckets", d.Buckets, "lacking", d.Lacking, "taken", d.Taken)
}

// comparer answers comparisons by the engine.
type comparer struct{ h *Host }

func (c comparer) Compare(ctx context.Context, caller peer.Caller, database id.Name, theirs []delta.Fingerprint) ([]delta.Verdict, error) {
	list, err := c.h.engine.AnswerCompare(ctx, caller.Principal, database, theirs)
	return list, hidden(err)
}

func (c comparer) Versions(ctx context.Context, caller peer.Caller, database id.Name, s id.Scope, buckets uint64, visit func(delta.RowVersion) error) error {
	return hidden(c.h.engine.AnswerVersions(ctx, caller.Principal, database, s, buckets, visit))
}

func (c comparer) Records(ctx context.Context, caller peer.Caller, database id.Name, s id.Scope, list []delta.RowVersion, visit func(commit []byte) error) error {
	return hidden(c.h.engine.AnswerRecords(ctx, caller.Principal, database, s, list, visit))
}

// hidden adds what peers are told to the error of the engine.
func hidden(err error) error {
	if errors.Is(err, engine.ErrHidden) {
		return fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	return err
}
