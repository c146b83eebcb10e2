package api

import (
	"context"
	"errors"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// TestBackup writes one while there are rows, and refuses a directory that is taken or not absolute, and everybody but the
// owner in person.
func TestBackup(t *testing.T) {
	w := newTxWorld(t)
	w.put("k", 1)
	w.grantTags(tagsIn("A"), nil, nil)
	c := w.client()
	if got, err := c.Backup(t.Context(), "/backup"); err != nil || got.Files == 0 || got.Bytes == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	for what, x := range map[string]struct {
		ctx  context.Context
		dir  string
		want error
	}{
		"into the same directory":  {t.Context(), "/backup", client.ErrPrecondition},
		"into a relative one":      {t.Context(), "backup", client.ErrInvalid},
		"into none":                {t.Context(), "", client.ErrInvalid},
		"by a device of the owner": {as(t.Context(), laptop), "/other", client.ErrNoAccess},
		"by an administrator":      {as(t.Context(), friend), "/other", client.ErrNoAccess},
	} {
		if _, err := c.Backup(x.ctx, x.dir); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", what, err, x.want)
		}
	}
}
