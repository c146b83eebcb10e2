package rows

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// requestScopes returns what another device has to say about the scopes.
func (d *device) requestScopes(from *device, scopes []id.Scope) Step {
	d.t.Helper()
	if err := d.db.Track(scopes); err != nil {
		d.t.Fatal(err)
	}
	plan := delta.NewPlan(d.db.Writer(), delta.Request(d.db.Published().Know, scopes))
	step := Step{Scopes: scopes}
	progress, err := from.db.Send(context.Background(), plan, func(o Outgoing) error {
		c, err := wire.DecodeCommit(append([]byte(nil), o.Commit...))
		step.Commits = append(step.Commits, c)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	step.Progress = progress
	return step
}

// Two syncgroups over one collection, one of them narrowed: whatever a device says it knows of a scope it has, record by
// record, however the exchanges were mixed and cut.
func TestKnowledgeOfNestedScopesIsTruthful(t *testing.T) {
	inner := id.Scope{Collection: notes, Prefix: "a/"}
	sessions := [][]id.Scope{whole, {inner}, {whole[0], inner}, {inner, whole[0]}}
	rapid.Check(t, func(rt *rapid.T) {
		devices := []*device{newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()}
		defer func() {
			for _, d := range devices {
				d.close()
			}
		}()
		device := rapid.SampledFrom(devices)
		made := map[id.Version]string{} // the key of every record
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				d := device.Draw(t, "at")
				keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a/1", "a/2", "b"}), 1, 3, rapid.ID[string]).Draw(t, "keys")
				var ops []Op
				for _, key := range keys {
					ops = append(ops, Op{Collection: notes, Key: key, Value: []byte(`1`)})
				}
				versions, err := d.db.Commit(ops, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range versions {
					made[v] = keys[i]
				}
			},
			"pull": func(t *rapid.T) {
				to, from := device.Draw(t, "to"), device.Draw(t, "from")
				if to == from {
					return
				}
				step := to.requestScopes(from, rapid.SampledFrom(sessions).Draw(t, "scopes"))
				if cut := rapid.IntRange(0, len(step.Commits)).Draw(t, "commits"); cut < len(step.Commits) {
					step.Commits, step.Progress = step.Commits[:cut], nil
				}
				if _, err := to.db.Receive(step); err != nil {
					t.Fatal(err)
				}
			},
			"crash": func(t *rapid.T) { device.Draw(t, "who").crash() },
			"": func(t *rapid.T) {
				for _, d := range devices {
					know := d.db.Published().Know
					num, _ := d.db.CollectionNum(notes)
					for v, key := range made {
						if !know.Holds(notes, key, v) {
							continue
						}
						if _, _, err := d.db.logRecord(num, v); err != nil {
							t.Fatalf("device %d says it holds %s of %q: %v", d.num, v, key, err)
						}
					}
				}
			},
		})
	})
}

// reference: sync-200 a batch is received whole or not at all: a step that fails in the middle leaves nothing of it.
func TestBatchIsNeverSeenInParts(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	var ops []Op
	for i := range 100 {
		ops = append(ops, Op{Collection: notes, Key: fmt.Sprintf("k%02d", i), Value: []byte(`1`)})
	}
	if _, err := a.db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	step := b.request(a)
	if n := len(step.Commits); n != 1 {
		t.Fatalf("the batch travels as %d commits", n)
	}
	bad := step
	bad.Commits = append(bad.Commits[:1:1], wire.Commit{Writer: a.db.Writer(), First: 1000, Count: 1, Time: 1 << 63, Records: []wire.Entry{{
		Collection: id.Collection{Name: id.Name{Owner: owner, Local: "other"}}, Record: wire.Record{Version: id.Version{Writer: a.db.Writer(), Gen: 1000}, Key: "x"},
	}}})
	if _, err := b.db.Receive(bad); err == nil {
		t.Fatal("accepted")
	}
	if n := len(b.rows()); n != 0 {
		t.Errorf("%d rows of a refused step", n)
	}
	if _, err := b.db.Receive(step); err != nil {
		t.Fatal(err)
	}
	if _, batches := b.watched(); len(b.rows()) != 100 || batches != 2 {
		t.Errorf("%d rows in %d batches; want 100 in the one after the collection's own", len(b.rows()), batches)
	}
}
