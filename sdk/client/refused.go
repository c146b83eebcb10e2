package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// RefusedCommit is a commit that came from a peer and that a rule of a device keeps it from taking. It is set aside there, and
// passed on to others; nothing else waits for it.
type RefusedCommit struct {
	// Database is a full name.
	Database string `json:"database"`
	// ID names it for RetryRefused and DiscardRefused; 0 for what another device has refused.
	ID uint64 `json:"id"`
	// RefusedBy is the principal of the device that has refused it; empty for the daemon's own.
	RefusedBy string `json:"refused_by"`
	// From is the principal of the peer that sent it; empty for what another device has refused.
	From string `json:"from"`
	// Writer is "device.epoch", Generation that of the first record that was refused.
	Writer     string `json:"writer"`
	Generation uint64 `json:"generation"`
	Records    uint64 `json:"records"`
	Bytes      uint64 `json:"bytes"`
	// Collections are full names; Keys are those of the first records, each cut to 256 bytes.
	Collections []string `json:"collections"`
	Keys        []string `json:"keys"`
	// Code is the rule: quota, access-list, time or one of a later version. Reason is for people.
	Code   string `json:"code"`
	Reason string `json:"reason"`
	// Since is when it was refused first, Tried when it was last; it was tried again so many times.
	Since time.Time `json:"since"`
	Tried time.Time `json:"tried"`
	Tries uint64    `json:"tries"`
}

// RefusedCount is how many commits of a database are refused.
type RefusedCount struct {
	Database string `json:"database"`
	// Here are those that the daemon refuses, Elsewhere those that other members have said they do.
	Here      uint64 `json:"here"`
	Elsewhere uint64 `json:"elsewhere"`
}

// Retried is what came of trying refused commits again.
type Retried struct {
	// Applied are taken now, or superseded; Left are refused again.
	Applied uint64 `json:"applied"`
	Left    uint64 `json:"left"`
}

// Refused iterates over what is refused of a database, or of all databases if its name is empty: first by the daemon, then
// by other members. An error is the last thing yielded.
func (c *Client) Refused(ctx context.Context, database string) iter.Seq2[RefusedCommit, error] {
	return list(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListRefusedResponse], error) {
		return c.api.ListRefused(ctx, &nodev1.ListRefusedRequest{Database: database})
	}, func(m *nodev1.ListRefusedResponse) RefusedCommit { return refusedOf(m.GetCommit()) })
}

// RetryRefused tries again what the daemon refuses of the database: what the ids name, or all without them. If one of them is not
// on the list it fails with ErrNotFound, and nothing is tried.
func (d *Database) RetryRefused(ctx context.Context, ids ...uint64) (Retried, error) {
	resp, err := d.c.api.RetryRefused(ctx, &nodev1.RetryRefusedRequest{Database: d.name, Ids: ids})
	if err != nil {
		return Retried{}, d.c.failure(err)
	}
	return Retried{Applied: resp.GetApplied(), Left: resp.GetLeft()}, nil
}

// Discarded is what came of giving up a refused commit.
type Discarded struct {
	// Records are given up; Written rows were written again for it, the others had been overwritten since.
	Records uint64 `json:"records"`
	Written uint64 `json:"written"`
}

// DiscardRefused gives up a commit that Refused lists, for every member: it is overwritten wherever it was taken. What the
// daemon itself refuses leaves its rows as they are here; what another device refuses, and the daemon has, leaves them as they
// were before the commit, unless they were written since. That takes Admin on the database and Write on the collections. It
// fails with ErrNotFound when the commit is not on the list any more, and with ErrPrecondition when it is not here whole, or what
// was before it is not kept any more.
func (d *Database) DiscardRefused(ctx context.Context, c RefusedCommit) (Discarded, error) {
	req := &nodev1.DiscardRefusedRequest{Database: d.name, Id: c.ID}
	if c.ID == 0 {
		req.Version = c.Version()
	}
	resp, err := d.c.api.DiscardRefused(ctx, req)
	if err != nil {
		return Discarded{}, d.c.failure(err)
	}
	return Discarded{Records: resp.GetRecords(), Written: resp.GetWritten()}, nil
}

// Version is the name of the first record that was refused.
func (c *RefusedCommit) Version() string { return fmt.Sprintf("%s-%d", c.Writer, c.Generation) }

func refusedOf(p *nodev1.RefusedCommit) RefusedCommit {
	r := RefusedCommit{
		Database: p.GetDatabase(), ID: p.GetId(), RefusedBy: p.GetRefusedBy(), From: p.GetFrom(), Writer: p.GetWriter(),
		Generation: p.GetGeneration(), Records: p.GetRecords(), Bytes: p.GetBytes(), Collections: p.GetCollections(), Keys: p.GetKeys(),
		Code: p.GetCode(), Reason: p.GetReason(), Since: timeOf(p.GetSince()), Tried: timeOf(p.GetTried()), Tries: p.GetTries(),
	}
	if r.Keys == nil {
		r.Keys = []string{}
	}
	return r
}
