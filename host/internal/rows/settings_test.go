package rows

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

func (d *device) set(change func(*Settings)) Settings {
	d.t.Helper()
	s, err := d.db.SetSettings(change)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func TestSettingsLast(t *testing.T) {
	d := newDevice(t, 1)
	if diff := cmp.Diff(Settings{Durability: Sync}, d.db.Settings()); diff != "" {
		t.Errorf("of a new database (-want +got):\n%s", diff)
	}
	want := Settings{Durability: Async, QuotaBytes: 1 << 40, SyncPaused: true}
	d.set(func(s *Settings) { *s = want })
	d.crash()
	if diff := cmp.Diff(want, d.db.Settings()); diff != "" {
		t.Errorf("after a power loss (-want +got):\n%s", diff)
	}
	if _, err := d.db.SetPermissions(perm.For("test.local/other", perm.DatabaseTags), "1"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.db.Settings()); diff != "" {
		t.Errorf("after another access list (-want +got):\n%s", diff)
	}
	if _, err := d.db.SetSettings(func(s *Settings) { s.Durability = "perhaps" }); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unknown durability: got %v, want ErrInvalid", err)
	}
	if got := d.db.Settings(); got != want {
		t.Errorf("a refused change left %+v", got)
	}
}

// reference: store-100 schema metadata is stored with the database, and only a higher version replaces it.
func TestSchema(t *testing.T) {
	d := newDevice(t, 1)
	if s, err := d.db.Schema(); err != nil || s.Version != 0 || s.Policy != nil {
		t.Fatalf("of a new database: %+v, %v", s, err)
	}
	steps := []struct {
		version uint32
		policy  string
		want    error
	}{
		{0, `{}`, ErrInvalid},
		{1, `{`, ErrInvalid},
		{1, `"` + strings.Repeat("x", MaxSchemaPolicy) + `"`, ErrInvalid},
		{1, `{"rules":[{"collection":"notes","resolver":"coin"}]}`, ErrInvalid},
		{2, `{"rules":[{"resolver":"app"}]}`, nil},
		{2, `{"rules":[]}`, ErrConflict},
		{1, `{"rules":[]}`, ErrConflict},
		{7, `{"rules":[{"resolver":"defer"}]}`, nil},
	}
	for _, s := range steps {
		if err := d.db.SetSchema(Schema{Version: s.version, Policy: json.RawMessage(s.policy)}); !errors.Is(err, s.want) {
			t.Errorf("version %d, policy of %d bytes: got %v, want %v", s.version, len(s.policy), err, s.want)
		}
	}
	d.crash()
	got, err := d.db.Schema()
	if diff := cmp.Diff(Schema{Version: 7, Policy: json.RawMessage(`{"rules":[{"resolver":"defer"}]}`)}, got); err != nil || diff != "" {
		t.Errorf("after a power loss: %v (-want +got):\n%s", err, diff)
	}
	if err := d.s.Destroy(dbName); err != nil {
		t.Fatal(err)
	}
	again, err := d.s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := again.Schema(); err != nil || s.Version != 0 {
		t.Errorf("a database made anew has the schema %+v, %v", s, err)
	}
}

// reference: store-025 the service's access list is replaced only by whoever names its version, which changes each time.
func TestServicePermissions(t *testing.T) {
	d := newDevice(t, 1)
	if list, version := d.s.Permissions(); list != nil || version != "1" {
		t.Errorf("without an owner: %v in version %s", list, version)
	}
	list := perm.For("test.local/admin", perm.ServiceTags)
	for _, bad := range []perm.List{nil, perm.For(owner, perm.DatabaseTags)} {
		if _, err := d.s.SetPermissions(bad, ""); !errors.Is(err, ErrInvalid) {
			t.Errorf("list %v: got %v, want ErrInvalid", bad, err)
		}
	}
	if _, err := d.s.SetPermissions(list, "20"); !errors.Is(err, ErrConflict) {
		t.Errorf("a wrong version: got %v, want ErrConflict", err)
	}
	for _, step := range []struct{ version, next string }{{"1", "2"}, {"", "3"}, {"3", "4"}} {
		if next, err := d.s.SetPermissions(list, step.version); err != nil || next != step.next {
			t.Errorf("over version %q: got %q, %v, want %q", step.version, next, err, step.next)
		}
	}
	d.crash()
	got, version := d.s.Permissions()
	if diff := cmp.Diff(list, got); diff != "" || version != "4" {
		t.Errorf("after a power loss: version %s (-want +got):\n%s", version, diff)
	}
}

func TestServicePermissionsOfOwner(t *testing.T) {
	d := newDevice(t, 1)
	opts := d.s.opts
	opts.Owner = owner
	s, err := Open(d.kv, opts)
	if err != nil {
		t.Fatal(err)
	}
	list, _ := s.Permissions()
	if diff := cmp.Diff(perm.For(owner, perm.ServiceTags), list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// reference: sync-004 pausing keeps a database from syncing in both directions until it is resumed; what was written
// before the pause may still be sent, what is written after it is not seen by peers until it ends.
// reference: sync-005 the pause lasts over restarts, as does the resume.
// reference: sync-202 a database without any syncgroup stays paused over a restart.
func TestPause(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("early", `1`)
	before := a.db.Published()
	a.set(func(s *Settings) { s.SyncPaused = true })
	if state, _ := a.db.More(); !state.Paused || state.Meta == before.Meta {
		t.Errorf("nobody is told of the pause: %+v", state)
	}
	a.put("late", `2`)
	a.crash()
	if !a.db.Published().Paused {
		t.Fatal("the pause is over after a restart")
	}
	send := func() (n int, err error) {
		plan := delta.NewPlan(b.db.Writer(), delta.Request(b.db.Published().Know, whole))
		_, err = a.db.Send(context.Background(), plan, func(Outgoing) error { n++; return nil })
		return n, err
	}
	if n, err := send(); n != 0 || !errors.Is(err, ErrPaused) {
		t.Errorf("a paused database sent %d commits, %v", n, err)
	}
	if _, err := a.db.Receive(Step{Scopes: whole}); !errors.Is(err, ErrPaused) {
		t.Errorf("a paused database received: %v", err)
	}
	a.set(func(s *Settings) { s.SyncPaused = false })
	a.crash()
	if n, err := send(); n != 3 || err != nil {
		t.Errorf("resumed, it sent %d commits, %v; want 3", n, err)
	}
}

// A sender that looked before the pause sends nothing that was committed after it.
func TestPauseIsAPointOfTheLog(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	early := a.put("early", `1`)
	plan := delta.NewPlan(b.db.Writer(), delta.Request(b.db.Published().Know, whole))
	first := true
	progress, err := a.db.Send(context.Background(), plan, func(Outgoing) error {
		if first {
			a.set(func(s *Settings) { s.SyncPaused = true })
			a.put("late", `2`)
		}
		first = false
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := progress[0].Vector[a.db.Writer()]; got != early.Gen {
		t.Errorf("sent up to generation %d, want %d", got, early.Gen)
	}
	if _, err := a.db.Send(context.Background(), plan, func(Outgoing) error { return nil }); !errors.Is(err, ErrPaused) {
		t.Errorf("the next time: %v", err)
	}
}

func FuzzDecodeDatabase(f *testing.F) {
	rec := databaseRecord{num: 1, listVer: 2, epoch: 3, databaseDoc: databaseDoc{
		Permissions: perm.For(owner, perm.DatabaseTags), Settings: Settings{Durability: Async},
		Former: []formerEpoch{{Epoch: 1, Gen: 2, Seq: 3}},
	}}
	data, err := rec.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := decodeDatabase(data)
		if err != nil {
			return
		}
		again, err := rec.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeDatabase(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rec.databaseDoc, got.databaseDoc, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		_ = rec.formerVector(id.Device{1})
	})
}
