package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// reference: store-40
// A row is missing until it is put, then has the value last put, and is missing again once deleted.
// reference: store-44
// Null is a value; deleting what is not there succeeds; a key has at most 4,096 bytes; a number that does not fit the
// type it is read into is an error, not another number.
func TestRowLife(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	for what, value := range map[string]any{"number": 1, "null": nil, "text": "x", "big": int64(1) << 40} {
		if _, err := w.c.Get(ctx, what); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("%s before: %v", what, err)
		}
		if has, err := w.c.Has(ctx, what); has || err != nil {
			t.Errorf("%s before: %v, %v", what, has, err)
		}
		w.put(what, "first")
		w.put(what, value)
		want := strings.Trim(fmt.Sprintf("%#v", value), `"`)
		row, err := w.c.Get(ctx, what)
		if got := strings.Trim(string(row.Value.Bytes), `"`); err != nil || got != want && !(value == nil && got == "null") {
			t.Errorf("%s is %s, %v; want %s", what, got, err, want)
		}
	}
	big, err := w.c.Get(ctx, "big")
	if err != nil {
		t.Fatal(err)
	}
	var narrow int32
	var wide int64
	if err := big.Decode(&narrow); err == nil {
		t.Errorf("a number too large was read as %d", narrow)
	}
	if err := big.Decode(&wide); err != nil || wide != 1<<40 {
		t.Errorf("read as %d, %v", wide, err)
	}
	if err := must(w.c.Delete(ctx, "null")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Get(ctx, "null"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("after the delete: %v", err)
	}
	if version, err := w.c.Delete(ctx, "null"); err != nil || version != "" {
		t.Errorf("delete of nothing: %q, %v", version, err)
	}
	long := strings.Repeat("k", 4096)
	w.put(long, 1)
	if has, err := w.c.Has(ctx, long); !has || err != nil {
		t.Errorf("the longest key: %v, %v", has, err)
	}
	if _, err := w.c.Put(ctx, long+"k", 1); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a key one byte too long: %v", err)
	}
}

// keys are the keys of a scan.
func (w *txWorld) keys(r client.Range) []string {
	w.t.Helper()
	keys := []string{}
	for row, err := range w.c.Scan(w.t.Context(), r) {
		if err != nil {
			w.t.Fatal(err)
		}
		keys = append(keys, row.Key)
	}
	return keys
}

// reference: store-017 a range without a limit goes to the end, and one that is the wrong way round is empty and no error.
//
// reference: store-41
// A scan gives the keys of its range in order, the end left out; an empty bound is none.
// reference: store-42
// Deleting a range removes those keys and no others.
func TestRanges(t *testing.T) {
	all := []string{"a", "ab", "b", "bc", "c"}
	for _, x := range []struct {
		r    client.Range
		want []string
	}{
		{client.Range{}, all}, {client.Range{Limit: "z"}, all}, {client.Range{Start: "a"}, all}, {client.Range{Start: "a", Limit: "z"}, all},
		{client.Range{Prefix: "a"}, []string{"a", "ab"}}, {client.Range{Prefix: "b"}, []string{"b", "bc"}}, {client.Range{Prefix: "bcd"}, []string{}},
		{client.Range{Start: "ab", Limit: "bc"}, []string{"ab", "b"}}, {client.Range{Start: "b", Limit: "b"}, []string{}},
		{client.Range{Start: "b", Limit: "b\x00"}, []string{"b"}}, {client.Range{Start: "c", Limit: "a"}, []string{}},
	} {
		w := newTxWorld(t)
		for _, key := range all {
			w.put(key, key)
		}
		if diff := cmp.Diff(x.want, w.keys(x.r)); diff != "" {
			t.Errorf("%+v: -wanted +scanned:\n%s", x.r, diff)
		}
		deleted, err := w.c.DeleteRange(t.Context(), x.r)
		if err != nil || deleted != uint64(len(x.want)) {
			t.Errorf("%+v: deleted %d, %v; want %d", x.r, deleted, err, len(x.want))
		}
		left := slices.DeleteFunc(slices.Clone(all), func(key string) bool { return slices.Contains(x.want, key) })
		if diff := cmp.Diff(left, w.keys(client.Range{})); diff != "" {
			t.Errorf("%+v: -wanted +left:\n%s", x.r, diff)
		}
	}
}

// TestDeleteLargeRange deletes more than one commit does, up to a key, and leaves what lies beside.
func TestDeleteLargeRange(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	const n = 2*deleteRangeOps + 5
	var ops []client.Op
	for i := range n {
		op, err := w.c.PutOp(fmt.Sprintf("p/%06d", i), i)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	if _, err := w.db.Commit(ctx, ops...); err != nil {
		t.Fatal(err)
	}
	w.put("p0", 1)
	w.put("p", 1)
	if deleted, err := w.c.DeleteRange(ctx, client.Range{Prefix: "p/"}); err != nil || deleted != n {
		t.Errorf("deleted %d, %v", deleted, err)
	}
	if diff := cmp.Diff([]string{"p", "p0"}, w.keys(client.Range{})); diff != "" {
		t.Errorf("-wanted +left:\n%s", diff)
	}
}

// TestSettings changes settings one by one and wants the others to stay.
func TestSettings(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("k", 1)
	info, err := w.db.Info(ctx)
	if err != nil || info.Name != "home.local/owner:db" || info.Settings != (client.Settings{Durability: client.Sync}) || info.UsedBytes == 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	quota := uint64(1 << 20)
	for _, change := range []client.SettingsChange{{Durability: client.Async}, {QuotaBytes: &quota}, {}} {
		if _, err := w.db.UpdateSettings(ctx, change); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.db.PauseSync(ctx); err != nil {
		t.Fatal(err)
	}
	if info, err = w.db.Info(ctx); err != nil || info.Settings != (client.Settings{Durability: client.Async, QuotaBytes: quota, SyncPaused: true}) {
		t.Errorf("%+v, %v", info, err)
	}
	if err := w.db.ResumeSync(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Put(ctx, "large", client.Value{Bytes: make([]byte, 1<<20), Raw: true}); !errors.Is(err, client.ErrExhausted) {
		t.Errorf("a row beyond the quota: %v", err)
	}
	if _, err := w.db.UpdateSettings(ctx, client.SettingsChange{Durability: "maybe"}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("an unknown durability: %v", err)
	}
	if err := must(w.raw.UpdateDatabase(ctx, &nodev1.UpdateDatabaseRequest{Database: "db", Settings: &nodev1.DatabaseSettings{Durability: 9}})); reasonOf(err) != "InvalidArgument INVALID" {
		t.Errorf("a durability of the future: %v", err)
	}
	w.grant("", "Admin", "")
	theirs := as(ctx, friend)
	paused := true
	for want, settings := range map[string]*nodev1.DatabaseSettings{refused: {QuotaBytes: &quota}, ok: {SyncPaused: &paused}} {
		if got := trimmed(must(w.raw.UpdateDatabase(theirs, &nodev1.UpdateDatabaseRequest{Database: "home.local/owner:db", Settings: settings}))); got != want {
			t.Errorf("%v by who administers the database alone: %s, want %s", settings, got, want)
		}
	}
}

func TestSchema(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	if _, err := w.db.Schema(ctx); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("without a schema: %v", err)
	}
	good := `{"rules":[{"collection":"notes","prefix":"a/","type":"note","resolver":"app"},{"collection":"friends.local/anna:x","resolver":"plugin:crdt"}]}`
	if err := w.db.SetSchema(ctx, client.Schema{Version: 2, Policy: []byte(good)}); err != nil {
		t.Fatal(err)
	}
	if s, err := w.db.Schema(ctx); err != nil || s.Version != 2 || string(s.Policy) != good {
		t.Errorf("%+v, %v", s, err)
	}
	for _, version := range []uint32{1, 2} {
		if err := w.db.SetSchema(ctx, client.Schema{Version: version, Policy: []byte(good)}); !errors.Is(err, client.ErrConflict) {
			t.Errorf("version %d after 2: %v", version, err)
		}
	}
	for _, bad := range []string{
		``, `[]`, `{"rules":[]} x`, `{"rule":[]}`, `{"rules":[{"collection":"notes"}]}`, `{"rules":[{"prefix":"a/","resolver":"app"}]}`,
		`{"rules":[{"collection":"notes","resolver":"plugin:"}]}`, `{"rules":[{"collection":"notes","resolver":"first-wins"}]}`,
		`{"rules":[{"collection":"notes","prefix":"\u0001","resolver":"app"}]}`, `{"rules":[{"collection":"notes","type":"\u0001","resolver":"app"}]}`,
	} {
		if err := w.db.SetSchema(ctx, client.Schema{Version: 3, Policy: []byte(bad)}); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
