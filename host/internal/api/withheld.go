package api

import (
	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Who may write into a collection and not read it learns nothing of what is there. So it is told no versions: that of a delete
// tells whether there was a row, and the numbers of puts, which are consecutive, whether a delete between them made a record.

// noteUnread takes note of a collection that is written, with its list of that moment.
func (t *target) noteUnread(c id.Collection, list perm.List) {
	if acl.Collection(t.list, list, t.caller, perm.Read) == nil {
		return
	}
	if t.unread == nil {
		t.unread = map[id.Collection]bool{}
	}
	t.unread[c] = true
}

// withhold empties the versions that the caller is not to know, and tells whether there are any. The commit was guarded.
func (t *target) withhold(ops []rows.Op, versions []string) (some bool) {
	if len(t.unread) == 0 {
		return false
	}
	for i := range ops {
		if t.unread[ops[i].Collection] {
			versions[i], some = "", true
		}
	}
	return some
}
