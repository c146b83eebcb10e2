package api

import (
	"context"
	"fmt"
	"path/filepath"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// maxPath bounds a path, in bytes.
const maxPath = 4096

// BackupContents is what a backup has beside the store.
type BackupContents struct{ Blobs, Identity bool }

// Backup is for the owner in person: it writes with the rights of the daemon, wherever the caller says.
func (s *Server) Backup(ctx context.Context, req *nodev1.BackupRequest) (*nodev1.BackupResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if caller != s.opts.Owner {
		return nil, fmt.Errorf("%w: %s may not make the daemon write files; only %s in person may", acl.ErrNoAccess, caller, s.opts.Owner)
	}
	dir := req.GetDirectory()
	if !filepath.IsAbs(dir) || len(dir) > maxPath {
		return nil, fmt.Errorf("%w: directory %q, want an absolute path of at most %d bytes", ErrInvalid, dir, maxPath)
	}
	ctx, stop := s.untilDrained(ctx)
	defer stop()
	write := s.opts.Backup
	if write == nil {
		write = func(ctx context.Context, dir string, _ BackupContents) (kv.Manifest, error) {
			return s.opts.Rows.Backup(ctx, dir)
		}
	}
	manifest, err := write(ctx, dir, BackupContents{Blobs: !req.GetWithoutBlobs(), Identity: req.GetWithIdentity()})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, Kind(ErrPrecondition, fmt.Errorf("backup: %w", err))
	}
	files := append(manifest.Files, manifest.Beside...)
	resp := &nodev1.BackupResponse{Files: uint64(len(files))}
	for _, f := range files {
		resp.Bytes += uint64(f.Size)
	}
	return resp, nil
}
