package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Bounds of a report of what was refused.
const (
	MaxRefused        = 100
	maxRefusedRecords = 100_000
	maxRefusedColls   = 4
	maxRefusedKeys    = 8
	maxRefusedKey     = 256
	maxRefusedCode    = 64
	maxRefusedReason  = 512
)

// Refused is a commit that a member does not take by a rule of its own.
type Refused struct {
	Writer      id.Writer
	Generation  uint64
	Records     uint32
	Bytes       uint64
	Collections []id.Collection
	Keys        []string
	Code        string
	Reason      string
	Since       time.Time
	Tried       time.Time
	Tries       uint32
}

// RefusalBook takes note of what peers refuse.
type RefusalBook interface {
	// Note replaces what the caller has said of the database; ErrNotFound when the caller has no part in it.
	Note(ctx context.Context, caller Caller, database id.Name, list []Refused) error
}

// refusals answers peers.
type refusals struct {
	peerv1.UnimplementedRefusalServiceServer
	sessions *Sessions
}

func (v *refusals) ReportRefused(ctx context.Context, req *peerv1.ReportRefusedRequest) (*peerv1.ReportRefusedResponse, error) {
	_, caller, err := v.sessions.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	if caller.Device == (id.Device{}) {
		return nil, invalid(errors.New("a call before the hello"))
	}
	database, err := decodeName(req.GetDatabase())
	if err != nil {
		return nil, invalid(fmt.Errorf("a database: %w", err))
	}
	if n := len(req.GetCommits()); n > MaxRefused {
		return nil, invalid(fmt.Errorf("%d refused commits, the limit is %d", n, MaxRefused))
	}
	list := make([]Refused, 0, len(req.GetCommits()))
	for _, m := range req.GetCommits() {
		r, err := decodeRefused(m)
		if err != nil {
			return nil, invalid(fmt.Errorf("a refused commit: %w", err))
		}
		list = append(list, r)
	}
	book := v.sessions.opts.Refusals
	if book == nil {
		return v.UnimplementedRefusalServiceServer.ReportRefused(ctx, req)
	}
	if err := book.Note(ctx, caller, database, list); err != nil {
		return nil, v.sessions.toStatus(err)
	}
	return &peerv1.ReportRefusedResponse{}, nil
}

// ReportRefused tells the peer what this daemon refuses, of which it sends at most MaxRefused.
func (l *Link) ReportRefused(ctx context.Context, database id.Name, list []Refused) error {
	req := &peerv1.ReportRefusedRequest{Database: encodeName(database)}
	for i := range list[:min(len(list), MaxRefused)] {
		req.Commits = append(req.Commits, encodeRefused(&list[i]))
	}
	if _, err := l.refusals.ReportRefused(ctx, req); err != nil {
		return l.failed(err)
	}
	return nil
}

// clip shortens a text to whole characters.
func clip(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "")
}

func encodeRefused(r *Refused) *peerv1.RefusedCommit {
	m := &peerv1.RefusedCommit{
		Device: r.Writer.Device[:], Epoch: r.Writer.Epoch, Generation: r.Generation, Records: r.Records, Bytes: r.Bytes,
		Code: clip(r.Code, maxRefusedCode), Reason: clip(r.Reason, maxRefusedReason),
		Since: r.Since.UnixMicro(), Tried: r.Tried.UnixMicro(), Tries: r.Tries,
	}
	for _, c := range r.Collections[:min(len(r.Collections), maxRefusedColls)] {
		m.Collections = append(m.Collections, encodeCollection(c))
	}
	for _, key := range r.Keys[:min(len(r.Keys), maxRefusedKeys)] {
		m.Keys = append(m.Keys, clip(key, maxRefusedKey))
	}
	return m
}

func decodeRefused(m *peerv1.RefusedCommit) (r Refused, err error) {
	if r.Writer.Device, err = decodeDevice(m.GetDevice()); err != nil {
		return r, err
	}
	r.Writer.Epoch = m.GetEpoch()
	r.Generation, r.Records, r.Bytes, r.Tries = m.GetGeneration(), m.GetRecords(), m.GetBytes(), m.GetTries()
	r.Code, r.Reason, r.Keys = m.GetCode(), m.GetReason(), m.GetKeys()
	r.Since, r.Tried = time.UnixMicro(m.GetSince()), time.UnixMicro(m.GetTried())
	switch n := len(m.GetCollections()); {
	case r.Generation == 0:
		return r, errors.New("generation 0")
	case r.Records == 0 || r.Records > maxRefusedRecords || r.Bytes > maxCommit:
		return r, fmt.Errorf("%d records of %d bytes", r.Records, r.Bytes)
	case n == 0 || n > maxRefusedColls || len(r.Keys) > maxRefusedKeys:
		return r, fmt.Errorf("%d collections and %d keys", n, len(r.Keys))
	case len(r.Code) > maxRefusedCode || len(r.Reason) > maxRefusedReason:
		return r, fmt.Errorf("a code of %d bytes and a reason of %d", len(r.Code), len(r.Reason))
	}
	for _, key := range r.Keys {
		if len(key) > maxRefusedKey {
			return r, fmt.Errorf("a key of %d bytes", len(key))
		}
	}
	for _, c := range m.GetCollections() {
		coll, err := decodeCollection(c)
		if err != nil {
			return r, err
		}
		r.Collections = append(r.Collections, coll)
	}
	return r, nil
}
