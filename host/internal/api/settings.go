package api

import (
	"context"
	"fmt"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// GetDatabase takes any tag on the database.
func (s *Server) GetDatabase(ctx context.Context, req *nodev1.GetDatabaseRequest) (*nodev1.GetDatabaseResponse, error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	live, garbage, err := t.db.Used()
	if err != nil {
		return nil, err
	}
	return &nodev1.GetDatabaseResponse{
		Database: t.db.Name().String(), Settings: settingsOf(t.db.Settings()), UsedBytes: live, GarbageBytes: garbage,
	}, nil
}

var durabilities = map[nodev1.Durability]rows.Durability{
	nodev1.Durability_DURABILITY_SYNC:  rows.Sync,
	nodev1.Durability_DURABILITY_ASYNC: rows.Async,
}

func settingsOf(s rows.Settings) *nodev1.DatabaseSettings {
	out := &nodev1.DatabaseSettings{QuotaBytes: &s.QuotaBytes, SyncPaused: &s.SyncPaused}
	for there, here := range durabilities {
		if here == s.Durability {
			out.Durability = there
		}
	}
	return out
}

// UpdateDatabase takes Admin on the database, and to change the quota Admin on the service, whose disk it is.
func (s *Server) UpdateDatabase(ctx context.Context, req *nodev1.UpdateDatabaseRequest) (*nodev1.UpdateDatabaseResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Admin)
	if err != nil {
		return nil, err
	}
	want := req.GetSettings()
	if want != nil && want.QuotaBytes != nil {
		if err := s.allowed(t.caller, perm.Admin); err != nil {
			return nil, fmt.Errorf("quota: %w", err)
		}
	}
	durability, known := durabilities[want.GetDurability()]
	if !known && want.GetDurability() != nodev1.Durability_DURABILITY_UNSPECIFIED {
		return nil, fmt.Errorf("%w: durability %d, want SYNC or ASYNC", ErrInvalid, want.GetDurability())
	}
	now, err := t.db.SetSettings(func(s *rows.Settings) {
		if known {
			s.Durability = durability
		}
		if want != nil && want.QuotaBytes != nil {
			s.QuotaBytes = want.GetQuotaBytes()
		}
		if want != nil && want.SyncPaused != nil {
			s.SyncPaused = want.GetSyncPaused()
		}
	})
	if err != nil {
		return nil, err
	}
	return &nodev1.UpdateDatabaseResponse{Settings: settingsOf(now)}, nil
}
