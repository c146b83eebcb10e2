package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/plug"
)

// blobBytes verifies what the blob store has.
type blobBytes struct{ h *Host }

func (b blobBytes) VerifyBlobs(ctx context.Context, report func(ref, why string), done func(blobs int)) error {
	opts := blobs.VerifyOptions{Lost: lostObject, Verified: func(n int, _ uint64) { done(n) }}
	err := b.h.blobs.Verify(ctx, opts, func(ref chunk.Ref, why error) {
		report(ref.String(), fmt.Sprintf("blob %v: %v; put the same content again with 'syncbase blob put', from a file or from a device that has it: that writes what is damaged", ref, why))
	})
	if err != nil {
		return fmt.Errorf("read the bytes of blobs: %w", err)
	}
	return nil
}

// lostObject reports whether the blob store has said that bytes are gone or damaged, which no other time changes.
func lostObject(err error) bool {
	return errors.Is(err, plug.ErrNotFound) || errors.Is(err, plug.ErrCorrupt) || errors.Is(err, plug.ErrRange)
}
