package rows

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// restore replaces the device's store by a backup.
func (d *device) restore(backup string, random uint32) {
	d.t.Helper()
	if err := d.kv.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.fs = d.fs.CrashClone() // a backup must last by itself
	to := fmt.Sprint("restored-", random)
	_, err := Restore(context.Background(), backup, to, kv.Options{FS: d.fs}, func() uint32 { return random }, nothingBeside)
	if err != nil {
		d.t.Fatal(err)
	}
	d.fs = d.fs.CrashClone()
	d.reopen(to)
}

// reopen opens the store in a directory.
func (d *device) reopen(dir string) {
	d.t.Helper()
	var err error
	if d.kv, err = kv.Open(dir, kv.Options{FS: d.fs}); err != nil {
		d.t.Fatal(err)
	}
	if d.s, err = Open(d.kv, d.s.opts); err != nil {
		d.t.Fatal(err)
	}
	if d.db, err = d.s.Database(dbName); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) backup(dir string) {
	d.t.Helper()
	if _, err := d.s.Backup(context.Background(), dir); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) contents() map[string]string {
	d.t.Helper()
	got := map[string]string{}
	err := d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) { got[string(r.Key)] = string(r.Value); return true, nil })
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

// A device that goes back to an old copy writes as somebody else: nothing that it or its peer wrote is lost, and both come
// to the same, also when it goes back twice to the same copy.
func TestRestoredStoreLosesNothing(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("both", `"old"`)
	a.put("kept", `1`)
	b.pull(a)
	b.put("theirs", `1`)
	a.pull(b)
	a.backup("copy")
	old := a.db.Writer()
	a.put("after", `"the backup, sent"`)
	a.put("both", `"after the backup"`)
	b.pull(a)
	want := b.contents()

	for i, random := range []uint32{7, 8} {
		a.restore("copy", random)
		if got := a.db.Writer(); got == old || got.Device != old.Device {
			t.Errorf("restored, the device writes as %s, before as %s", got, old)
		}
		key := []string{"first", "second"}[i]
		a.put(key, `1`)
		want[key] = `1`
		b.pull(a)
		a.pull(b)
		b.pull(a)
		if diff := cmp.Diff(want, a.contents()); diff != "" {
			t.Errorf("restored device (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, b.contents()); diff != "" {
			t.Errorf("peer (-want +got):\n%s", diff)
		}
	}
}

// What the former writer made reaches a new peer, whether or not the collection was shared before the restore.
func TestRestoredStoreSharesWhatItHad(t *testing.T) {
	t.Run("shared before", func(t *testing.T) { testRestoredShares(t, true) })
	t.Run("shared after", func(t *testing.T) { testRestoredShares(t, false) })
}

func testRestoredShares(t *testing.T, before bool) {
	a, b := newDevice(t, 1), newDevice(t, 2)
	if before {
		if err := a.db.Track(whole); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	a.put("k", `1`)
	a.backup("copy")
	a.restore("copy", 1)
	if err := a.db.Track(whole); err != nil {
		t.Fatal(err)
	}
	if a.put("l", `2`).Gen != 1 {
		t.Error("the new epoch does not begin with generation 1")
	}
	b.pull(a)
	if diff := cmp.Diff(map[string]string{"k": `1`, "l": `2`}, b.contents()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := a.kv.Close(); err != nil {
		t.Fatal(err)
	}
	a.reopen("restored-1")
	if v := a.put("m", `3`); v.Gen != 2 {
		t.Errorf("after a restart it goes on with generation %d", v.Gen)
	}
}

func TestRestoreRefusesWhatIsDamaged(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("k", `1`)
	d.backup("copy")
	if _, err := d.s.Backup(t.Context(), "copy"); err == nil {
		t.Error("a second backup went into the same directory")
	}
	m, err := kv.VerifyBackup(t.Context(), "copy", kv.Options{FS: d.fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.fs.Damage("copy/store/" + m.Files[0].Name); err != nil {
		t.Fatal(err)
	}
	_, err = Restore(t.Context(), "copy", "to", kv.Options{FS: d.fs}, func() uint32 { return 1 }, nothingBeside)
	if !errors.Is(err, kv.ErrBackup) {
		t.Errorf("a changed file: got %v, want ErrBackup", err)
	}
	if _, err = Restore(t.Context(), "nowhere", "to", kv.Options{FS: d.fs}, nil, nothingBeside); !errors.Is(err, kv.ErrBackup) {
		t.Errorf("no backup: got %v, want ErrBackup", err)
	}
	s, err := kv.Open("to", kv.Options{FS: d.fs})
	if err != nil {
		t.Fatalf("where nothing was restored: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// asking is a context that does something whenever it is asked whether it has ended.
type asking struct {
	context.Context
	ask func()
}

func (a asking) Err() error {
	a.ask()
	return a.Context.Err()
}

// While a restore still reads the backup nobody begins an empty store where it is to be.
func TestRestoreIsAnnouncedBeforeTheBackupIsRead(t *testing.T) {
	d := newDevice(t, 1).create()
	d.backup("copy")
	asked := 0
	ctx := asking{t.Context(), func() {
		if asked++; asked > 1 {
			return
		}
		if s, err := kv.Open("to", kv.Options{FS: d.fs}); !errors.Is(err, kv.ErrRestoring) {
			t.Errorf("opened %v, %v; want ErrRestoring", s, err)
		}
	}}
	if _, err := Restore(ctx, "copy", "to", kv.Options{FS: d.fs}, func() uint32 { return 1 }, nothingBeside); err != nil {
		t.Fatal(err)
	}
	if asked == 0 {
		t.Error("the restore did not look whether it is to end")
	}
}

func nothingBeside(kv.Manifest) error { return nil }

// A restore that is cut short leaves nothing that passes for a store, least of all an empty one: it says so until it is run again.
func TestRestoreThatIsCutShortIsNoStore(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("k", `1`)
	d.backup("copy")
	cut := errors.New("cut short")
	random := func() uint32 { return 1 }
	if _, err := Restore(t.Context(), "copy", "to", kv.Options{FS: d.fs}, random, func(kv.Manifest) error { return cut }); !errors.Is(err, cut) {
		t.Fatalf("the restore returned %v", err)
	}
	if s, err := kv.Open("to", kv.Options{FS: d.fs}); !errors.Is(err, kv.ErrRestoring) {
		t.Fatalf("opened %v, %v; want ErrRestoring", s, err)
	}
	if _, err := Restore(t.Context(), "copy", "to", kv.Options{FS: d.fs}, random, nothingBeside); err != nil {
		t.Fatalf("the second restore: %v", err)
	}
	if err := d.kv.Close(); err != nil {
		t.Fatal(err)
	}
	d.reopen("to")
	if names, _ := d.s.Databases(); len(names) != 1 {
		t.Errorf("the restored store has %d databases, want one", len(names))
	}
}
