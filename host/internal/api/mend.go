package api

import (
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// A list with a mistyped name can leave out everybody that there is. The owner in person therefore reads and sets the list of
// every database of its daemon, as databases stay on the device, and of the collections that bear its name, whatever they say.
// It is no way to the rows: for those the list counts as it is then.

// openList finds a database whose list the caller may read and set.
func (s *Server) openList(ctx context.Context, database string) (*target, error) {
	t, err := s.open(ctx, database)
	if t != nil && t.caller == s.opts.Owner && (err == nil || errors.Is(err, acl.ErrNoAccess)) {
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	return t, acl.Database(t.list, t.caller, perm.Admin)
}

// mends reports whether the caller may set the list of a collection without a tag on it.
func (t *target) mends(c id.Collection) bool {
	return t.caller == t.s.opts.Owner && t.caller.Extends(c.Name.Owner)
}

// checkList decides whether the caller may read and set the list of a collection.
func (t *target) checkList(c id.Collection) error {
	if t.mends(c) {
		if _, _, err := t.db.CollectionPermissions(c); err == nil {
			return nil
		}
	}
	return t.check(c, perm.Admin)
}
