package api

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// errNotInBatch refuses what a batch cannot hold: the lists of the service and of databases are no data of the database.
var errNotInBatch = fmt.Errorf("%w: in a batch there are only access lists of collections", ErrInvalid)

// enterBatch makes the request one of an open batch of the database. The caller calls done in the end.
func (t *target) enterBatch(handle string) (x *openBatch, done func(), err error) {
	if x, err = t.s.batches.use(handle, t.caller); err != nil {
		return nil, nil, err
	}
	if x.db != t.db {
		t.s.batches.release(x)
		return nil, nil, errUnknownBatch
	}
	t.batch = x
	return x, func() { t.s.batches.release(x) }, nil
}

// inBatch does something in a batch if one is named, counting what the batch keeps of it, and otherwise at once.
func (t *target) inBatch(handle string, size int, within func(*rows.Tx) error, alone func() error) error {
	if handle == "" {
		return alone()
	}
	x, done, err := t.enterBatch(handle)
	if err != nil {
		return err
	}
	defer done()
	if err := t.s.batches.keep(x, size+readOverhead); err != nil {
		return err
	}
	return within(x.tx)
}

// openCollectionIn finds a collection that the caller administers, in a batch if the request names one. The caller calls
// done in the end.
func (s *Server) openCollectionIn(ctx context.Context, req reading) (t *target, c id.Collection, done func(), err error) {
	if t, err = s.open(ctx, req.GetDatabase()); err != nil {
		return nil, c, nil, err
	}
	done = func() {}
	if req.GetBatch() != "" {
		if _, done, err = t.enterBatch(req.GetBatch()); err != nil {
			return nil, c, nil, err
		}
	}
	if c, err = t.name(req.GetCollection()); err == nil {
		err = t.checkList(c)
	}
	if err != nil {
		done()
	}
	return t, c, done, err
}

// checkInBatch is check for a batch. The lists of now count, so that a batch ends to be of use when the access is gone; in
// a collection that the batch has made its maker may do everything; and where the batch has replaced a list, that one counts
// too, for who administers the collection. Commit judges everything anew.
func (t *target) checkInBatch(c id.Collection, tag perm.Tag) error {
	tx := t.batch.tx
	if tx.Made(c) {
		return t.mayCreate(c)
	}
	list, _, err := t.db.CollectionPermissions(c)
	if err != nil {
		return missing(rows.ErrNoCollection, c)
	}
	err = t.decide(c, list, tag)
	if !tx.Changed(c) || list.Allows(t.caller, perm.Admin) && tag == perm.Admin {
		return err
	}
	if err == nil || acl.Collection(t.list, list, t.caller, perm.Admin) == nil {
		own, _, lost := tx.Permissions(c)
		if lost != nil {
			return lost
		}
		return t.decide(c, own, tag)
	}
	return err
}

// destroyInBatch ends a collection in a batch.
func (t *target) destroyInBatch(tx *rows.Tx, c id.Collection) error {
	if !tx.Made(c) {
		list, _, err := t.db.CollectionPermissions(c)
		if err != nil {
			return err
		}
		if err := t.end(c, list, rows.OpDestroy); err != nil {
			return err
		}
	}
	return tx.DestroyCollection(c)
}
