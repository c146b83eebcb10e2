package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/fetch"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// blobService is blobs, for clients.
type blobService struct{ h *Host }

func (b blobService) Put(ctx context.Context, db uint32, r io.Reader) (string, uint64, error) {
	ref, size, err := b.h.blobs.PutBlob(ctx, r)
	if err != nil {
		return "", 0, err
	}
	if err := b.h.blobs.Keep(ref, db); err != nil {
		return "", 0, err
	}
	b.h.fetcher.Stored(ref)
	return ref.String(), size, nil
}

// find reads a reference to a blob that is there for the caller. Any other does not exist for it, wherever it may be.
func (b blobService) find(of api.BlobScope, text string) (chunk.Ref, error) {
	ref, err := chunk.ParseRef(text)
	if err != nil {
		return ref, fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	has, err := b.has(of, ref)
	if err == nil && !has {
		err = fmt.Errorf("%w: %s was neither put through this database nor does a row of it refer to it that may be read", blobs.ErrNotFound, ref)
	}
	return ref, err
}

// has reports whether the blob is there for the caller. As for peers, rows of private syncgroups count alone if there are any that refer to it.
func (b blobService) has(of api.BlobScope, ref chunk.Ref) (bool, error) {
	private, err := b.h.isPrivate(ref)
	if err != nil {
		return false, err
	}
	referred := false
	may, err := b.h.eachReference(ref, func(db *rows.DB, c id.Collection, key string) (bool, error) {
		if db.Num() != of.DB {
			return false, nil
		}
		referred = true
		if !of.MayRead(c) {
			return false, nil
		}
		if private {
			return inPrivate(db, c, key)
		}
		return true, nil
	})
	if err != nil || may || referred {
		return may, err
	}
	put := false
	err = b.h.blobs.ReferencedBy(ref, func(db, collection uint32, _ string) error {
		put = put || db == of.DB && collection == 0
		return nil
	})
	return put, err
}

// locatePatience is how long a reader waits for somebody who has the blob.
const locatePatience = 30 * time.Second

func (b blobService) Fetch(ctx context.Context, of api.BlobScope, text string, priority int32, progress func(api.FetchProgress) error) error {
	ref, err := b.find(of, text)
	if err != nil {
		return err
	}
	if err := b.h.fetcher.Want(ref, fetch.PriorityAsked+int(priority)); err != nil {
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

func (b blobService) Read(ctx context.Context, of api.BlobScope, text string, offset, length uint64, started func(uint64) error, w io.Writer) error {
	ref, err := b.find(of, text)
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
	if err := b.h.fetcher.Want(ref, fetch.PriorityRead); err != nil {
		return 0, err
	}
	var size uint64
	known := errors.New("known")
	patient, cancel := context.WithTimeout(ctx, locatePatience)
	defer cancel()
	err = b.h.fetcher.Follow(patient, ref, func(p fetch.Progress) error {
		size = p.Total
		if p.Total > 0 || p.State == fetch.Done {
			return known
		}
		return nil
	})
	switch {
	case errors.Is(err, known):
		return size, nil
	case err != nil && patient.Err() != nil && ctx.Err() == nil:
		return 0, fmt.Errorf("%w: no reachable peer gave blob %s", api.ErrUnavailable, ref)
	}
	return size, err
}

func (b blobService) Stat(_ context.Context, of api.BlobScope, text string) (api.Blob, error) {
	ref, err := b.find(of, text)
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
	return b.remote(ref)
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

func (b blobService) List(_ context.Context, of api.BlobScope, visit func(api.Blob) error) error {
	err := b.h.blobs.List(func(stat blobs.Stat) error {
		if has, err := b.has(of, stat.Ref); err != nil || !has {
			return err
		}
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
		if has, err := b.has(of, ref); err != nil || !has {
			return err
		}
		blob, err := b.remote(ref)
		if err != nil {
			return err
		}
		return visit(blob)
	})
}
