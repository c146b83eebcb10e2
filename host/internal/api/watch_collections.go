package api

import (
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// knows decides whether the caller may know of a collection: because it may list those of the database, or has a tag on
// this one.
func (w *watcher) knows(c id.Collection, list perm.List) bool {
	return acl.Knows(w.list, w.caller) || list.AllowsAny(w.caller)
}

// ofCollection is a change of a collection as the caller sees it, nil when it does not. It is told to who may know of the
// collection, and to who could read it before. Its rights are those of now, and so the same for everything in a batch.
func (w *watcher) ofCollection(b *rows.Batch, ch *rows.Change) *nodev1.Change {
	list, _, err := w.db.CollectionPermissions(ch.Collection)
	if !w.known[ch.Collection] && (err != nil && !acl.Knows(w.list, w.caller) || err == nil && !w.knows(ch.Collection, list)) {
		return nil
	}
	var c *nodev1.Change
	if ch.Deleted {
		c = &nodev1.Change{Collection: ch.Collection.Name.String(), Kind: nodev1.ChangeKind_CHANGE_KIND_DESTROYED}
	} else {
		c = w.collectionChange(ch.Collection, list, ch.Version)
		if c.Access.Permissions != nil {
			c.Access.Permissions = ch.Value
		}
	}
	c.FromSync, c.Batch = b.FromSync, b.Name.String()
	return c
}

// collectionChange tells of a collection with this list.
func (w *watcher) collectionChange(c id.Collection, list perm.List, version id.Version) *nodev1.Change {
	access := &nodev1.CollectionAccess{Version: version.String()}
	for _, tag := range perm.CollectionTags {
		if list.Allows(w.caller, tag) {
			access.Tags = append(access.Tags, string(tag))
		}
	}
	if list.Allows(w.caller, perm.Admin) {
		access.Permissions = list.Marshal()
	}
	return &nodev1.Change{
		Collection: c.Name.String(), Kind: nodev1.ChangeKind_CHANGE_KIND_COLLECTION, Access: access,
	}
}

// farewell tells a watcher of one collection that loses it what became of the collection, if the batch at hand says so.
func (w *watcher) farewell(b *rows.Batch) error {
	if w.only == nil || w.refresh() != nil {
		return nil
	}
	w.known[*w.only] = true
	var list []*nodev1.Change
	for i := range b.Changes {
		if ch := &b.Changes[i]; ch.Key == "" && ch.Collection == *w.only {
			list = append(list, w.ofCollection(b, ch))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return w.send(&nodev1.WatchResponse{Changes: list, Resume: markerAt(w.db, b.Seq).String()})
}
