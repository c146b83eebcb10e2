package client

import (
	"context"
	"encoding/json"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Durability says when a commit returns.
type Durability string

const (
	// Sync: what is acknowledged survives power loss.
	Sync Durability = "sync"
	// Async: what is acknowledged is seen by readers here, and survives a moment later. The last commits may be lost, each of them
	// whole, when the daemon is killed or the power fails; none are when it is told to end. Peers and watchers never see what
	// can be lost, and the version of a lost row is never given out again.
	Async Durability = "async"
)

var durabilities = map[Durability]nodev1.Durability{
	Sync:  nodev1.Durability_DURABILITY_SYNC,
	Async: nodev1.Durability_DURABILITY_ASYNC,
}

// Settings are what can be chosen for a database on one device.
type Settings struct {
	Durability Durability `json:"durability"`
	// QuotaBytes bounds the bytes of keys and values that are in force, without history; 0 is no bound.
	QuotaBytes uint64 `json:"quota_bytes"`
	// SyncPaused: the database neither sends nor receives; what is written meanwhile waits.
	SyncPaused bool `json:"sync_paused"`
}

// DatabaseInfo is what is known of a database.
type DatabaseInfo struct {
	// Name is the full name.
	Name     string
	Settings Settings
	// UsedBytes are the bytes of keys and values that are in force, in rows and in the log: what the quota bounds. GarbageBytes
	// are those of history, which are given back in time.
	UsedBytes, GarbageBytes uint64
}

// Info returns the settings of the database and how large it is.
func (d *Database) Info(ctx context.Context) (DatabaseInfo, error) {
	resp, err := d.c.api.GetDatabase(ctx, &nodev1.GetDatabaseRequest{Database: d.name})
	if err != nil {
		return DatabaseInfo{}, d.c.failure(err)
	}
	return DatabaseInfo{
		Name: resp.GetDatabase(), Settings: settingsFrom(resp.GetSettings()), UsedBytes: resp.GetUsedBytes(), GarbageBytes: resp.GetGarbageBytes(),
	}, nil
}

func settingsFrom(s *nodev1.DatabaseSettings) Settings {
	out := Settings{QuotaBytes: s.GetQuotaBytes(), SyncPaused: s.GetSyncPaused()}
	for here, there := range durabilities {
		if there == s.GetDurability() {
			out.Durability = here
		}
	}
	return out
}

// SettingsChange says what to change; what is nil, or an empty durability, stays as it is.
type SettingsChange struct {
	Durability Durability
	// QuotaBytes takes who administers the daemon; the others take Admin on the database.
	QuotaBytes *uint64
	SyncPaused *bool
}

// UpdateSettings changes settings and returns what they are now.
func (d *Database) UpdateSettings(ctx context.Context, change SettingsChange) (Settings, error) {
	durability, known := durabilities[change.Durability]
	if !known && change.Durability != "" {
		return Settings{}, invalid("durability %q, want %s or %s", change.Durability, Sync, Async)
	}
	resp, err := d.c.api.UpdateDatabase(ctx, &nodev1.UpdateDatabaseRequest{Database: d.name, Settings: &nodev1.DatabaseSettings{
		Durability: durability, QuotaBytes: change.QuotaBytes, SyncPaused: change.SyncPaused,
	}})
	if err != nil {
		return Settings{}, d.c.failure(err)
	}
	return settingsFrom(resp.GetSettings()), nil
}

// PauseSync stops sending and receiving, until ResumeSync. Pausing what is paused does nothing.
func (d *Database) PauseSync(ctx context.Context) error { return d.setPaused(ctx, true) }

// ResumeSync ends a pause.
func (d *Database) ResumeSync(ctx context.Context) error { return d.setPaused(ctx, false) }

func (d *Database) setPaused(ctx context.Context, paused bool) error {
	_, err := d.UpdateSettings(ctx, SettingsChange{SyncPaused: &paused})
	return err
}

// Schema is metadata that applications agree on. It stays on the device.
type Schema struct {
	// Version is 1 for the first schema, and grows with every change.
	Version uint32
	// Policy says who resolves conflicts, as JSON: {"rules":[{"collection","prefix","type","resolver"}]} with resolver
	// "last-wins", "app", "defer" or "plugin:NAME".
	Policy json.RawMessage
}

// Schema returns the schema, or fails with ErrNotFound when none was set.
func (d *Database) Schema(ctx context.Context) (Schema, error) {
	resp, err := d.c.api.GetSchema(ctx, &nodev1.GetSchemaRequest{Database: d.name})
	if err != nil {
		return Schema{}, d.c.failure(err)
	}
	return Schema{Version: resp.GetSchema().GetVersion(), Policy: resp.GetSchema().GetPolicy()}, nil
}

// SetSchema replaces the schema. It fails with ErrConflict unless the version is higher than that of the present one.
func (d *Database) SetSchema(ctx context.Context, s Schema) error {
	_, err := d.c.api.SetSchema(ctx, &nodev1.SetSchemaRequest{
		Database: d.name, Schema: &nodev1.Schema{Version: s.Version, Policy: s.Policy},
	})
	return d.c.failure(err)
}
