package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
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

// eachScope visits the rows that refer to the blob until visit returns true, and reports whether it did.
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

// mayHave reports whether a row that refers to the blob is shared with the principal.
func (h *Host) mayHave(ref chunk.Ref, p id.Principal) (bool, error) {
	return h.eachReference(ref, func(db *rows.DB, c id.Collection, key string) (bool, error) {
		return inGroup(db, c, key, func(g syncgroup.Group) (bool, error) { return syncgroup.HasMember(db, g, p) })
	})
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
	if d == h.rows.Writer().Device {
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

// blobService is blobs, for clients.
type blobService struct{ h *Host }

func (b blobService) Put(ctx context.Context, r io.Reader) (string, uint64, error) {
	ref, size, err := b.h.blobs.PutBlob(ctx, r)
	if err != nil {
		return "", 0, err
	}
	return ref.String(), size, nil
}

func parseRef(text string) (chunk.Ref, error) {
	ref, err := chunk.ParseRef(text)
	if err != nil {
		return ref, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	return ref, nil
}

// want asks for a blob wherever it may be.
func (b blobService) want(ref chunk.Ref, priority int) error {
	return b.h.fetcher.Want(ref, priority)
}

func (b blobService) Fetch(ctx context.Context, text string, priority int32, progress func(api.FetchProgress) error) error {
	ref, err := parseRef(text)
	if err != nil {
		return err
	}
	if err := b.want(ref, fetch.PriorityAsked+int(priority)); err != nil {
		return err
	}
	return b.h.fetcher.Follow(ctx, ref, func(p fetch.Progress) error {
		return progress(api.FetchProgress{
			State: fetchState(p.State), Received: p.Received, Total: p.Total, Source: b.h.deviceName(p.Source),
		})
	})
}

func fetchState(s fetch.State) api.FetchState {
	switch s {
	case fetch.Locating:
		return api.FetchLocating
	case fetch.Fetching:
		return api.FetchFetching
	case fetch.Done:
		return api.FetchDone
	}
	return api.FetchPending
}

func (b blobService) Read(ctx context.Context, text string, offset, length uint64, started func(uint64) error, w io.Writer) error {
	ref, err := parseRef(text)
	if err != nil {
		return err
	}
	size, err := b.size(ctx, ref)
	if err != nil {
		return err
	}
	if offset > size {
		return fmt.Errorf("%w: offset %d of a blob of %d bytes", blobs.ErrRange, offset, size)
	}
	if err := started(size); err != nil {
		return err
	}
	if length == 0 {
		length = size - offset
	}
	_, err = b.h.fetcher.Read(ctx, ref, offset, length, w)
	return err
}

// size waits until the size of the blob is known, asking for it if need be.
func (b blobService) size(ctx context.Context, ref chunk.Ref) (uint64, error) {
	stat, err := b.h.blobs.Stat(ref)
	if err == nil {
		return stat.Size, nil
	}
	if !errors.Is(err, blobs.ErrNotFound) {
		return 0, err
	}
	if err := b.want(ref, fetch.PriorityRead); err != nil {
		return 0, err
	}
	var size uint64
	known := errors.New("known")
	err = b.h.fetcher.Follow(ctx, ref, func(p fetch.Progress) error {
		size = p.Total
		if p.Total > 0 || p.State == fetch.Done {
			return known
		}
		return nil
	})
	if errors.Is(err, known) {
		err = nil
	}
	return size, err
}

func (b blobService) Stat(_ context.Context, _ uint32, text string) (api.Blob, error) {
	ref, err := parseRef(text)
	if err != nil {
		return api.Blob{}, err
	}
	stat, err := b.h.blobs.Stat(ref)
	if err == nil {
		return b.describe(stat)
	}
	if !errors.Is(err, blobs.ErrNotFound) {
		return api.Blob{}, err
	}
	blob, err := b.remote(ref)
	if err != nil {
		return api.Blob{}, err
	}
	referenced, err := b.h.eachReference(ref, func(*rows.DB, id.Collection, string) (bool, error) { return true, nil })
	if err == nil && !referenced && len(blob.Locations) == 0 {
		err = fmt.Errorf("%w: %s", blobs.ErrNotFound, ref)
	}
	return blob, err
}

func (b blobService) describe(stat blobs.Stat) (api.Blob, error) {
	blob, err := b.remote(stat.Ref)
	blob.Size, blob.State = stat.Size, api.BlobPartial
	if stat.State == blobs.Whole {
		blob.State = api.BlobLocal
	}
	return blob, err
}

// remote describes a blob of which nothing is here.
func (b blobService) remote(ref chunk.Ref) (api.Blob, error) {
	locations, err := b.h.blobs.Locations(ref)
	blob := api.Blob{Ref: ref.String(), State: api.BlobRemote}
	for _, l := range locations {
		blob.Locations = append(blob.Locations, b.h.deviceName(l.Device))
	}
	return blob, err
}

func (b blobService) List(_ context.Context, _ uint32, visit func(api.Blob) error) error {
	err := b.h.blobs.List(func(stat blobs.Stat) error {
		blob, err := b.describe(stat)
		if err != nil {
			return err
		}
		return visit(blob)
	})
	if err != nil {
		return err
	}
	return b.h.blobs.EachMissing(func(ref chunk.Ref) error {
		if _, err := b.h.blobs.Stat(ref); err == nil {
			return nil
		}
		blob, err := b.remote(ref)
		if err != nil {
			return err
		}
		return visit(blob)
	})
}
