package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Finding is something in the store that must not be.
type Finding struct {
	// Database is a full name; empty when it belongs to none.
	Database string
	// Rule names the invariant that does not hold.
	Rule string
	// Key of the store where it was found.
	Key []byte
	// Text says what was found there.
	Text string
}

// Checkup counts what was looked at, and what was found.
type Checkup struct {
	Databases, Collections, Rows, Tombstones, Records, Commits, Findings uint64
}

// DoctorOptions of a check.
type DoctorOptions struct {
	// Progress is told what the daemon is doing and how many of so many files, or of keys where of is 0, it is through with; when
	// that changes, and about once a second meanwhile. It may be nil.
	Progress func(doing string, done, of uint64)
	// Deep reads the bytes of all blobs as well, as far as they are on the device. Of one that is damaged or gone the finding has the
	// rule "blob-bytes", and its reference as key. A daemon that does not know of it leaves them out.
	Deep bool
}

// Doctor has the daemon go through everything in its store, while that is in use, and calls report for each thing that
// breaks an invariant; an error of report ends it. It takes Admin on the daemon.
func (c *Client) Doctor(ctx context.Context, report func(Finding) error, opts DoctorOptions) (Checkup, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Doctor(ctx, &nodev1.DoctorRequest{Progress: opts.Progress != nil, Deep: opts.Deep})
	if err != nil {
		return Checkup{}, c.failure(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return Checkup{}, fmt.Errorf("the daemon ended the check without a summary")
		}
		if err != nil {
			return Checkup{}, c.failure(err)
		}
		if s := m.GetSummary(); s != nil {
			return Checkup{
				Databases: s.GetDatabases(), Collections: s.GetCollections(), Rows: s.GetRows(), Tombstones: s.GetTombstones(),
				Records: s.GetRecords(), Commits: s.GetCommits(), Findings: s.GetFindings(),
			}, nil
		}
		if p := m.GetProgress(); p != nil {
			if opts.Progress != nil {
				opts.Progress(p.GetDoing(), p.GetDone(), p.GetOf())
			}
			continue
		}
		f := m.GetFinding()
		if err := report(Finding{Database: f.GetDatabase(), Rule: f.GetRule(), Key: f.GetKey(), Text: f.GetText()}); err != nil {
			return Checkup{}, err
		}
	}
}
