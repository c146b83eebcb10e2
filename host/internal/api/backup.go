package api

import (
	"context"
	"fmt"
	"path/filepath"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
)

// maxPath bounds a path, in bytes.
const maxPath = 4096

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
	manifest, err := s.opts.Rows.Backup(ctx, dir)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: backup: %w", ErrPrecondition, err)
	}
	resp := &nodev1.BackupResponse{Files: uint64(len(manifest.Files))}
	for _, f := range manifest.Files {
		resp.Bytes += uint64(f.Size)
	}
	return resp, nil
}
