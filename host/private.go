package host

import (
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// mayHave reports whether a row that refers to the blob is shared with the principal. If rows of private syncgroups refer
// to it, only these count: who has learned the reference, and writes it into a row of another syncgroup, gets nothing by
// that.
func (h *Host) mayHave(ref chunk.Ref, p id.Principal) (bool, error) {
	private, err := h.isPrivate(ref)
	if err != nil {
		return false, err
	}
	return h.eachReference(ref, func(db *rows.DB, c id.Collection, key string) (bool, error) {
		return inGroup(db, c, key, func(g syncgroup.Group) (bool, error) {
			if private && !g.Spec.Private {
				return false, nil
			}
			return syncgroup.HasMember(db, g, p)
		})
	})
}

// isPrivate reports whether rows of private syncgroups refer to the blob.
func (h *Host) isPrivate(ref chunk.Ref) (bool, error) {
	if private, err := h.hasPrivate(); err != nil || !private {
		return false, err
	}
	return h.eachReference(ref, inPrivate)
}

// inPrivate reports whether a private syncgroup shares the row.
func inPrivate(db *rows.DB, c id.Collection, key string) (bool, error) {
	return inGroup(db, c, key, func(g syncgroup.Group) (bool, error) { return g.Spec.Private, nil })
}

// hasPrivate reports whether this device is in a private syncgroup at all.
func (h *Host) hasPrivate() (bool, error) {
	dbs, _ := h.rows.Databases()
	for _, db := range dbs {
		groups, err := syncgroup.All(db)
		if err != nil {
			return false, err
		}
		for _, g := range groups {
			if g.Spec.Private {
				return true, nil
			}
		}
	}
	return false, nil
}
