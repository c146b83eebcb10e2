package rows

import (
	"context"
	"fmt"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// What is left is counted exactly where each generation is a record of what is sent, and is nothing after the last commit, although
// the writer has gone on elsewhere. A run is only looked at to its end if it is long.
func TestLeftIsWhatComesAfter(t *testing.T) {
	d := newDevice(t, 1).create()
	defer d.close()
	tasks := id.Collection{Name: id.Name{Owner: owner, Local: "tasks"}}
	own := id.Collection{Name: id.Name{Owner: owner, Local: "own"}}
	for _, c := range []id.Collection{tasks, own} {
		if err := d.db.CreateCollection(c, perm.For(owner, perm.CollectionTags)); err != nil {
			t.Fatal(err)
		}
	}
	first := d.db.Published().Know.Own().Gen
	fill := func(c id.Collection, n int) {
		var ops []Op
		for i := range n {
			ops = append(ops, Op{Collection: c, Key: fmt.Sprintf("%05d", i), Value: []byte(`1`)})
		}
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	sent := []int{300, 200, 1, 400}
	for i, n := range sent {
		fill([]id.Collection{notes, tasks}[i%2], n)
	}
	fill(own, 5000)
	have := id.Vector{d.db.Writer(): first}
	plan := delta.NewPlan(id.Writer{Device: id.Device{9}}, []delta.ScopeVector{
		{Scope: id.Scope{Collection: notes}, Vector: have}, {Scope: id.Scope{Collection: tasks}, Vector: have},
	})
	want := uint64(300 + 200 + 1 + 400)
	_, err := d.db.Send(context.Background(), plan, func(o Outgoing) error {
		if o.Records != sent[0] {
			t.Errorf("a commit of %d records, want %d", o.Records, sent[0])
		}
		want -= uint64(o.Records)
		sent = sent[1:]
		if got := o.Left(); got != want {
			t.Errorf("after it %d are left, want %d", got, want)
		}
		return nil
	})
	if err != nil || len(sent) != 0 {
		t.Errorf("%d commits were not sent, %v", len(sent), err)
	}
}
