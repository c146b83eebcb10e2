package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// target is a database as its caller sees it.
type target struct {
	s      *Server
	caller id.Principal
	db     *rows.DB
	list   perm.List
	// batch is the open batch that the request belongs to, nil for none.
	batch *openBatch
}

// open finds a database that the caller may know of.
func (s *Server) open(ctx context.Context, database string) (*target, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(database, caller.Owner())
	if err != nil {
		return nil, err
	}
	db, err := s.opts.Rows.Database(name)
	if err != nil {
		return nil, missing(rows.ErrNoDatabase, name)
	}
	t := &target{s: s, caller: caller, db: db}
	return t, t.refresh()
}

// refresh reads the access list again and fails when the database is gone or no longer for the caller to enter. Who may
// know of every database is told that the access is missing, all others that the database is.
func (t *target) refresh() error {
	if err := t.db.Err(); err != nil {
		return err
	}
	t.list, _ = t.db.Permissions()
	switch {
	case acl.See(t.list, t.caller) == nil:
		return nil
	case t.s.knowsDatabases(t.caller):
		return fmt.Errorf("%w: %s has no tag on the database %s", acl.ErrNoAccess, t.caller, t.db.Name())
	}
	return missing(rows.ErrNoDatabase, t.db.Name())
}

// openFor is open with a tag that the caller needs on the database.
func (s *Server) openFor(ctx context.Context, database string, tag perm.Tag) (*target, error) {
	t, err := s.open(ctx, database)
	if err != nil {
		return nil, err
	}
	return t, acl.Database(t.list, t.caller, tag)
}

// openCollection finds a collection on which the caller has the tag.
func (s *Server) openCollection(ctx context.Context, database, collection string, tag perm.Tag) (*target, id.Collection, error) {
	t, err := s.open(ctx, database)
	if err != nil {
		return nil, id.Collection{}, err
	}
	c, err := t.name(collection)
	if err != nil {
		return nil, c, err
	}
	return t, c, t.check(c, tag)
}

// name reads the name of a collection.
func (t *target) name(collection string) (id.Collection, error) {
	n, err := id.ParseName(collection, t.caller.Owner())
	return id.Collection{Name: n}, err
}

// check decides whether the caller has the tag on a collection.
func (t *target) check(c id.Collection, tag perm.Tag) error {
	if t.batch != nil {
		return t.checkInBatch(c, tag)
	}
	list, _, err := t.db.CollectionPermissions(c)
	if err != nil {
		return missing(rows.ErrNoCollection, c)
	}
	return t.decide(c, list, tag)
}

func (t *target) decide(c id.Collection, list perm.List, tag perm.Tag) error {
	return hide(c, acl.Collection(t.list, list, t.caller, tag))
}

// guard asks the same of operations while nothing else can change the database.
func (t *target) guard(c id.Collection, list perm.List, kind rows.OpKind) error {
	switch kind {
	case rows.OpCheck:
		return t.decide(c, list, perm.Read)
	case rows.OpList:
		return t.administer(c, list, kind)
	case rows.OpDestroy:
		return t.end(c, list, kind)
	case rows.OpCreate:
		return t.mayCreate(c)
	}
	return t.decide(c, list, perm.Write)
}

// administer is the guard of setting the list of a collection.
func (t *target) administer(c id.Collection, list perm.List, _ rows.OpKind) error {
	if t.mends(c) {
		return nil
	}
	return t.decide(c, list, perm.Admin)
}

// end is the guard of what takes Admin on the collection or on the database.
func (t *target) end(c id.Collection, list perm.List, _ rows.OpKind) error {
	return hide(c, acl.Destroy(t.list, list, t.caller))
}

// hide gives a refusal that hides a collection the words for one that does not exist.
func hide(c id.Collection, err error) error {
	if errors.Is(err, acl.ErrHidden) {
		return missing(rows.ErrNoCollection, c)
	}
	return err
}

// same gives errors of rows about collections the words that hide whether they exist.
func same(c id.Collection, err error) error {
	if errors.Is(err, rows.ErrNoCollection) {
		return missing(rows.ErrNoCollection, c)
	}
	return err
}
