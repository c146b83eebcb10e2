package peer

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

func (v *service) GetTime(ctx context.Context, req *peerv1.GetTimeRequest) (*peerv1.GetTimeResponse, error) {
	s := v.sessions
	_, caller, err := s.callerOf(ctx)
	if err != nil {
		return nil, err
	}
	database, err := decodeName(req.GetDatabase())
	if err != nil {
		return nil, invalid(fmt.Errorf("a database: %w", err))
	}
	if s.opts.Time == nil {
		return v.UnimplementedPeerServiceServer.GetTime(ctx, req)
	}
	t, err := s.opts.Time.Time(caller, database)
	if err != nil {
		return nil, s.toStatus(err)
	}
	resp := &peerv1.GetTimeResponse{
		Received: t.Received.UnixMicro(), Replied: t.Replied.UnixMicro(), Hops: uint32(t.Hops), Reboots: uint32(t.Reboots),
	}
	if !t.Server.IsZero() {
		resp.Server = t.Server.UnixMicro()
	}
	return resp, nil
}

// Time asks for the peer's idea of the time in a database. It is not to be trusted before it is compared (package skew).
func (l *Link) Time(ctx context.Context, database id.Name) (Time, error) {
	resp, err := l.client.GetTime(ctx, &peerv1.GetTimeRequest{Database: encodeName(database)})
	if err != nil {
		return Time{}, l.failed(err)
	}
	t, err := decodeTime(resp)
	if err != nil {
		return Time{}, l.failed(err)
	}
	return t, nil
}

// decodeTime accepts times that differ by less than a Duration can hold from each other, so that arithmetic on them is safe.
func decodeTime(m *peerv1.GetTimeResponse) (Time, error) {
	const latest = 1 << 52 // microseconds: the year 2112
	for _, t := range []int64{m.GetReceived(), m.GetReplied(), m.GetServer()} {
		if t < 0 || t >= latest {
			return Time{}, violation("a time of %d microseconds since 1970", t)
		}
	}
	if m.GetReplied() < m.GetReceived() {
		return Time{}, violation("an answer that went before its question came")
	}
	if m.GetHops() > math.MaxUint16 || m.GetReboots() > math.MaxUint16 {
		return Time{}, violation("%d hops and %d restarts, the limit is %d", m.GetHops(), m.GetReboots(), math.MaxUint16)
	}
	t := Time{
		Received: time.UnixMicro(m.GetReceived()), Replied: time.UnixMicro(m.GetReplied()),
		Hops: uint16(m.GetHops()), Reboots: uint16(m.GetReboots()),
	}
	if m.GetServer() != 0 {
		t.Server = time.UnixMicro(m.GetServer())
	}
	return t, nil
}
