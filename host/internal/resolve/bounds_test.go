package resolve

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
	"github.com/syncbase/syncbase/sdk/plugin/resolver"
)

// Whatever may be in conflict can be put to a plugin: the protocol has room for the longest names, values and lists of versions.
func TestPluginsCanBeAskedAboutEveryRow(t *testing.T) {
	for _, bound := range []struct {
		what       string
		need, room int
	}{
		{"a collection", id.MaxPrincipalLen + len(":") + id.MaxNameLen, resolver.MaxNameBytes},
		{"a key", id.MaxKeyLen, resolver.MaxNameBytes},
		{"a value", wire.MaxValueLen, resolver.MaxValueBytes},
		{"a type", id.MaxTypeLen, resolver.MaxTypeBytes},
		{"versions", rows.MaxOpenHeads, resolver.MaxSiblings},
	} {
		if bound.need > bound.room {
			t.Errorf("%s may take %d, the protocol has room for %d", bound.what, bound.need, bound.room)
		}
	}
}
