package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/fetch"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

func (h *Host) newFetcher() (err error) {
	h.fetcher, err = fetch.New(fetch.Options{
		Blobs: h.blobs, Source: blobSource{h}, Self: h.rows.Writer().Device, Auto: h.serves, Jitter: rand.Float64,
		Events: fetch.Events{
			Done: func(ref chunk.Ref, size uint64) { h.log.Info("fetched a blob", "ref", ref, "bytes", size) },
			Failed: func(ref chunk.Ref, from id.Device, err error) {
				h.log.Debug("a peer did not give a blob", "ref", ref, "peer", h.deviceName(from), "error", err)
			},
			Stuck: func(ref chunk.Ref, err error) { h.log.Warn("cannot keep a blob", "ref", ref, "error", err) },
		},
	})
	return err
}

// eachReference visits the rows that refer to the blob until visit returns true, and reports whether it did.
func (h *Host) eachReference(ref chunk.Ref, visit func(db *rows.DB, c id.Collection, key string) (bool, error)) (bool, error) {
	dbs, _ := h.rows.Databases()
	byNum := map[uint32]*rows.DB{}
	for _, db := range dbs {
		byNum[db.Num()] = db
	}
	found := errors.New("found")
	err := h.blobs.ReferencedBy(ref, func(num, coll uint32, key string) error {
		db := byNum[num]
		if db == nil {
			return nil
		}
		c, known := db.CollectionByNum(coll)
		if !known {
			return nil
		}
		yes, err := visit(db, c, key)
		if yes {
			return found
		}
		return err
	})
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}

// inGroup reports whether some syncgroup that accept agrees to shares the row.
func inGroup(db *rows.DB, c id.Collection, key string, accept func(syncgroup.Group) (bool, error)) (bool, error) {
	groups, err := syncgroup.All(db)
	if err != nil {
		return false, err
	}
	for _, g := range groups {
		for _, s := range g.Spec.Scopes(g.Name) {
			if !s.Has(c, key) {
				continue
			}
			if yes, err := accept(g); yes || err != nil {
				return yes, err
			}
			break
		}
	}
	return false, nil
}

// serves reports whether this device, as a server of some syncgroup, has to hold the blob.
func (h *Host) serves(ref chunk.Ref) bool {
	yes, err := h.eachReference(ref, func(db *rows.DB, c id.Collection, key string) (bool, error) {
		return inGroup(db, c, key, func(g syncgroup.Group) (bool, error) { return g.Type == syncgroup.Server, nil })
	})
	if err != nil {
		h.log.Warn("cannot tell whether a blob is to be fetched", "ref", ref, "error", err)
	}
	return yes
}

// arrived notes where the blobs that rows refer to may be found, and lets the fetcher decide about them.
func (h *Host) arrived(from id.Device, fresh []rows.Arrival) {
	for _, a := range fresh {
		if a.Record.Raw {
			continue
		}
		refs := blobs.Refs(a.Record.Value)
		for _, ref := range refs {
			for _, d := range []id.Device{from, a.Record.Version.Writer.Device} {
				h.mark(ref, d)
			}
		}
		if len(refs) == 0 {
			continue
		}
		if err := h.fetcher.Referenced(refs...); err != nil && !errors.Is(err, fetch.ErrStopped) {
			h.log.Warn("cannot take note of a reference", "error", err)
		}
	}
}

func (h *Host) mark(ref chunk.Ref, d id.Device) {
	if d == h.rows.Writer().Device || d == (id.Device{}) {
		return
	}
	if err := h.blobs.MarkLocationNow(ref, blobs.Location{Device: d, Seen: time.Now()}); err != nil {
		h.log.Warn("cannot take note of where a blob is", "ref", ref, "error", err)
	}
	h.fetcher.Hint(ref, d)
}

// deviceName returns the name of a known peer, or the device itself.
func (h *Host) deviceName(d id.Device) string {
	if d == (id.Device{}) {
		return ""
	}
	for _, s := range h.peers.Known() {
		if s.Device == d && s.Name != "" {
			return s.Name
		}
	}
	return d.String()
}

// blobServer hands blobs to peers that share a row which refers to them.
type blobServer struct{ h *Host }

func (b blobServer) check(caller peer.Caller, text string) (chunk.Ref, error) {
	ref, err := chunk.ParseRef(text)
	if err != nil {
		return ref, fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	may, err := b.h.mayHave(ref, caller.Principal)
	if err == nil && !may {
		err = fmt.Errorf("%w: blob %s", peer.ErrNotFound, ref)
	}
	return ref, err
}

func (b blobServer) Recipe(ctx context.Context, caller peer.Caller, text string, send func([]byte) error) error {
	ref, err := b.check(caller, text)
	if err != nil {
		return err
	}
	return notHeld(b.h.blobs.ServeRecipe(ctx, ref, send))
}

func (b blobServer) Chunks(ctx context.Context, caller peer.Caller, text string, indexes []uint32, send func(uint32, []byte) error) error {
	ref, err := b.check(caller, text)
	if err != nil {
		return err
	}
	return notHeld(b.h.blobs.ReadChunks(ctx, ref, indexes, send))
}

func notHeld(err error) error {
	if errors.Is(err, blobs.ErrNotFound) || errors.Is(err, blobs.ErrPartial) {
		return fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	return err
}

// blobSource asks peers for blobs.
type blobSource struct{ h *Host }

func (b blobSource) link(d id.Device) (*peer.Link, error) {
	for _, link := range b.h.peers.Links() {
		if link.Peer().Device == d {
			return link, nil
		}
	}
	return nil, fmt.Errorf("%w: device %s", peer.ErrUnreachable, d)
}

func (b blobSource) Recipe(ctx context.Context, d id.Device, ref string) ([]byte, error) {
	link, err := b.link(d)
	if err != nil {
		return nil, err
	}
	data, err := link.Recipe(ctx, ref, chunk.MaxRecipeLen)
	return data, sourceError(err)
}

func (b blobSource) Chunks(ctx context.Context, d id.Device, ref string, indexes []uint32, visit func(uint32, []byte) error) error {
	link, err := b.link(d)
	if err != nil {
		return err
	}
	return sourceError(link.Chunks(ctx, ref, indexes, visit))
}

func sourceError(err error) error {
	if errors.Is(err, peer.ErrNotFound) || errors.Is(err, peer.ErrDenied) {
		return fmt.Errorf("%w: %w", fetch.ErrNotHeld, err)
	}
	return err
}
