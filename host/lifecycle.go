package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

func (s syncgroups) SetSpec(_ context.Context, caller id.Principal, dbName, name id.Name, change []byte, version id.Version) (string, error) {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return "", err
	}
	made, err := syncgroup.Edit(db, name, s.h.identity.Principal(), caller, change, version)
	if err != nil {
		return "", forClients(err)
	}
	s.h.log.Info("changed a syncgroup", "syncgroup", name, "database", dbName, "by", caller, "version", made)
	return made.String(), nil
}

func (s syncgroups) Leave(_ context.Context, dbName, name id.Name) error {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return err
	}
	if err := forClients(syncgroup.Leave(db, name, s.h.identity.Principal(), s.h.opts.Seams.Now())); err != nil {
		return err
	}
	s.h.log.Info("left a syncgroup", "syncgroup", name, "database", dbName)
	return s.h.fetcher.Rescan()
}

func (s syncgroups) Destroy(_ context.Context, caller id.Principal, dbName, name id.Name) error {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return err
	}
	if err := forClients(syncgroup.Destroy(db, name, caller, s.h.opts.Seams.Now())); err != nil {
		return err
	}
	s.h.log.Info("destroyed a syncgroup", "syncgroup", name, "database", dbName, "by", caller)
	return s.h.fetcher.Rescan()
}

func (s syncgroups) Eject(_ context.Context, caller id.Principal, dbName, name id.Name, text string) (id.Principal, error) {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return "", err
	}
	m, err := syncgroup.FindMember(db, name, text)
	if err == nil {
		err = syncgroup.Eject(db, name, s.h.identity.Principal(), m.Principal, caller, s.h.opts.Seams.Now())
	}
	if err == nil {
		s.h.log.Info("ejected a member", "syncgroup", name, "database", dbName, "member", m.Principal, "by", caller)
	}
	return m.Principal, forClients(err)
}

func (s syncgroups) Allow(_ context.Context, dbName, name id.Name, text string) (id.Principal, error) {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return "", err
	}
	m, err := syncgroup.FindMember(db, name, text)
	if err == nil {
		err = syncgroup.Allow(db, name, m.Principal, s.h.opts.Seams.Now())
	}
	return m.Principal, forClients(err)
}

// enforceAll makes read-only what is no longer shared, in every database.
func (h *Host) enforceAll() error {
	dbs, _ := h.rows.Databases()
	for _, db := range dbs {
		if err := syncgroup.Enforce(db); err != nil && !errors.Is(err, rows.ErrDestroyed) {
			return fmt.Errorf("database %s: %w", db.Name(), err)
		}
	}
	return nil
}
