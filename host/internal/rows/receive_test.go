package rows

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// What is known is not taken again, also when nothing is left here that would show what came of it: the row stays deleted
// although its tombstone is gone.
func TestKnownIsNotTakenAgain(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2).create()
	a.put("k", `1`)
	once := b.request(a)
	first, err := b.db.Receive(once)
	if err != nil {
		t.Fatal(err)
	}
	a.del("k")
	b.pull(a)
	b.forget()
	again, err := b.db.Receive(once)
	if err != nil || again.Records != 0 || again.Duplicates != first.Records {
		t.Errorf("received again: %+v, %v; want %d duplicates", again, err, first.Records)
	}
	if diff := cmp.Diff([]string{"last=0"}, b.rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// Whatever shows that others hold more of this device than it has made refuses the step.
func TestStepThatProvesASetBack(t *testing.T) {
	b := newDevice(t, 2)
	b.create()
	more := b.db.Published().Know.Own()
	more.Gen++
	a := newDevice(t, 1).create()
	for name, change := range map[string]func(*Step){
		"progress": func(s *Step) {
			s.Progress = append(s.Progress, delta.ScopeVector{Scope: whole[0], Vector: id.Vector{more.Writer: more.Gen}})
		},
		"progress alone": func(s *Step) {
			s.Commits, s.Progress = nil, []delta.ScopeVector{{Scope: whole[0], Vector: id.Vector{more.Writer: more.Gen}}}
		},
		"what a record has seen": func(s *Step) {
			s.Commits[len(s.Commits)-1].Records[0].Record.Seen = id.Vector{more.Writer: more.Gen}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a.put("k", `"`+name+`"`)
			step := b.request(a)
			change(&step)
			got, err := b.db.Receive(step)
			var proof *SetBackError
			if !errors.As(err, &proof) || proof.Shown != more || proof.Made != more.Gen-1 || got.Records > 0 {
				t.Errorf("%+v, %v; want proof by %s", got, err, more)
			}
			b.want()
		})
	}
}

// Progress that arrives while a commit is not durable yet shows nothing of that commit.
func TestProgressShowsNothingEarly(t *testing.T) {
	d := newDevice(t, 1).create()
	before := d.db.Published()
	ops := []Op{{Collection: notes, Key: "k", Value: []byte(`1`)}}
	begun := d.db.StartCommits([][]Op{ops}, nil)[0]
	other := id.Writer{Device: id.Device{9}, Epoch: 1}
	progress := []delta.ScopeVector{{Scope: whole[0], Vector: id.Vector{other: 5}}}
	if _, err := d.db.Receive(Step{Scopes: whole, Progress: progress}); err != nil {
		t.Fatal(err)
	}
	if got := d.db.Published(); got.Seq != before.Seq || got.Know.Own() != before.Know.Own() {
		t.Errorf("shown are commit %d and generation %s before they are durable", got.Seq, got.Know.Own())
	}
	if _, err := begun.Wait(); err != nil {
		t.Fatal(err)
	}
	got := d.db.Published()
	if got.Seq != before.Seq+1 || got.Know.At(whole[0])[other] != 5 {
		t.Errorf("shown are commit %d and %s, want one more and the progress", got.Seq, got.Know.At(whole[0]))
	}
}

// A write on top of one whose time lies too far ahead to be followed is later all the same, here and wherever it goes.
func TestWriteOnTopOfOneFromTheFuture(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.now = a.now.Add(24 * time.Hour)
	future := a.put("k", `1`)
	if got := b.pull(a); got.Ahead == 0 {
		t.Errorf("%+v, want a commit that is ahead", got)
	}
	num := b.db.colls[notes].num
	_, before, err := b.db.logRecord(num, future)
	if err != nil {
		t.Fatal(err)
	}
	_, after, err := b.db.logRecord(num, b.put("k", `2`))
	if err != nil || after.time <= before.time {
		t.Errorf("written at %v on top of %v, %v", after.time.Wall(), before.time.Wall(), err)
	}
	if got := a.pull(b); got.Conflicts > 0 {
		t.Errorf("%+v, want no conflict", got)
	}
	a.want("k=2")
}
