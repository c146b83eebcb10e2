package api

import (
	"context"
	"errors"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// TestBackup writes one while there are rows, and refuses a directory that is taken or not absolute, and everybody but the
// owner in person.
func TestBackup(t *testing.T) {
	w := newTxWorld(t)
	w.put("k", 1)
	w.grantTags(tagsIn("A"), nil, nil)
	c := w.client()
	if got, err := c.Backup(t.Context(), "/backup", client.BackupOptions{}); err != nil || got.Files == 0 || got.Bytes == 0 {
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
		if _, err := c.Backup(x.ctx, x.dir, client.BackupOptions{}); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", what, err, x.want)
		}
	}
}

// TestDoctor finds nothing in a store that is sound, and what was put into one that is not.
func TestDoctor(t *testing.T) {
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newWorldOn(t, store)
	c := w.collection("db", "c")
	for i := range 3 {
		if _, err := c.Put(t.Context(), "k", i); err != nil {
			t.Fatal(err)
		}
	}
	var found []client.Finding
	doing := ""
	progress := client.DoctorOptions{Progress: func(what string, _, _ uint64) { doing = what }}
	check := func() client.Checkup {
		t.Helper()
		found = nil
		sum, err := w.client().Doctor(t.Context(), func(f client.Finding) error {
			found = append(found, f)
			return nil
		}, progress)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if sum := check(); doing != "checking the store" || len(found) != 0 || sum.Findings != 0 || sum.Databases != 1 || sum.Rows == 0 || sum.Commits < 3 {
		t.Errorf("%+v, %+v, in the end %q", sum, found, doing)
	}
	// A row of a database that there is not, with a name that is no text.
	b := store.NewBatch()
	b.Set([]byte("\x12\x00\x00\x00\x63\x00\x00\x00\x01\xff"), []byte("?"))
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	if sum := check(); len(found) == 0 || uint64(len(found)) != sum.Findings || found[0].Rule == "" || found[0].Text == "" || len(found[0].Key) == 0 {
		t.Errorf("%+v, %+v", sum, found)
	}
	mine := errors.New("enough")
	if _, err := w.client().Doctor(t.Context(), func(client.Finding) error { return mine }, client.DoctorOptions{}); err != mine {
		t.Errorf("a report that fails: %v", err)
	}
}
