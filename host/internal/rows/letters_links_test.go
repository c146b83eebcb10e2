package rows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// alike checks that the devices show the same, have the same conflicts and sums, and refuse nothing.
func alike(t *testing.T, devices ...*device) {
	t.Helper()
	for _, d := range devices {
		d.retry()
		if left := d.db.Letters(); len(left) != 0 {
			t.Errorf("device %d keeps %+v", d.num, left)
		}
		if diff := cmp.Diff(devices[0].rows(), d.rows()); diff != "" {
			t.Errorf("rows of devices %d and %d differ:\n%s", devices[0].num, d.num, diff)
		}
		if diff := cmp.Diff(devices[0].openHeads(), d.openHeads()); diff != "" {
			t.Errorf("conflicts of devices %d and %d differ:\n%s", devices[0].num, d.num, diff)
		}
		if diff := cmp.Diff(devices[0].sums(), d.sums()); diff != "" {
			t.Errorf("sums of devices %d and %d differ:\n%s", devices[0].num, d.num, diff)
		}
		d.sound()
	}
}

// openHeads is how many versions each row in conflict has.
func (d *device) openHeads() map[string]int {
	d.t.Helper()
	open := map[string]int{}
	if err := d.db.Conflicts(ConflictRef{}, func(c Conflict) (bool, error) {
		open[c.Key] = len(c.Siblings)
		return true, nil
	}); err != nil {
		d.t.Fatal(err)
	}
	return open
}

func (d *device) sums() [delta.Buckets]uint64 {
	d.t.Helper()
	f, err := d.db.Fingerprint(d.t.Context(), whole[0], delta.CountContested)
	if err != nil {
		d.t.Fatal(err)
	}
	return f.Sums
}

// picked is a commit of a writer of which only this is known: a link from the version that a device shows to the others.
func (d *device) picked(w id.Writer, key string) wire.Commit {
	d.t.Helper()
	var parents []id.Version
	if err := d.db.Conflicts(ConflictRef{}, func(c Conflict) (bool, error) {
		for _, s := range c.Siblings {
			if c.Key == key {
				parents = append(parents, s.Version)
			}
		}
		return true, nil
	}); err != nil || len(parents) < 2 {
		d.t.Fatalf("parents %v, %v", parents, err)
	}
	view, err := d.db.Get(notes, key)
	if err != nil {
		d.t.Fatal(err)
	}
	link := wire.Record{Version: id.Version{Writer: w, Gen: 1}, Kind: wire.Link, Key: key, Parents: []id.Version{view.Version}, Seen: id.Vector{}}
	for _, p := range parents {
		link.Seen.Add(p)
		if p != view.Version {
			link.Parents = append(link.Parents, p)
		}
	}
	return wire.Commit{Writer: w, First: 1, Count: 1, Time: 1, Records: []wire.Entry{{Collection: notes, Record: link}}}
}

// A commit that only settles a conflict, and that some refuse, is given up on one of them: the conflict is settled the same for
// everybody, and nobody refuses it any more.
func TestDiscardedLinkIsGivenUpEverywhere(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	c := newDevice(t, 3)
	c.policy(1, `{"resolver":"defer"}`)
	level(a, b, c)
	b.put("k", `"B2"`) // "a" stays open beside it
	level(a, b, c)
	link := b.picked(aWriter, "k")
	link.Time = 1<<64 - 1
	for _, d := range []*device{b, c} {
		if _, err := d.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{link}}); err != nil || len(d.db.Letters()) != 1 {
			t.Fatalf("%v, letters %+v", err, d.db.Letters())
		}
	}
	got, err := b.db.DiscardLetter(b.db.Letters()[0].ID, nil)
	if want := (Discarded{Commit: id.Version{Writer: aWriter, Gen: 1}, Records: 1, Written: 1}); err != nil || got != want {
		t.Fatalf("discarded %+v, %v; want %+v", got, err, want)
	}
	level(a, b, c)
	if l := c.db.Letters(); len(l) != 1 || !c.db.LetterDue(l[0]) {
		t.Errorf("the letter elsewhere is not due: %+v", l)
	}
	alike(t, a, b, c)
	a.wantConflicts()
	a.want(`k="B2"`)
}

// A commit that settles a conflict and writes something too large for one member is given up where it was taken: what it wrote is
// gone, the conflict is settled for all, and nobody refuses anything.
func TestGivenUpLinkIsFollowed(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	c := newDevice(t, 3)
	c.policy(1, `{"resolver":"defer"}`)
	level(a, b, c)
	c.quota(1000)
	commit := b.picked(aWriter, "k")
	commit.Count = 2
	commit.Records = append(commit.Records, wire.Entry{Collection: notes, Record: wire.Record{
		Version: id.Version{Writer: aWriter, Gen: 2}, Key: "big", Value: []byte(big(3000)),
	}})
	for _, d := range []*device{a, c} {
		if _, err := d.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{commit}}); err != nil {
			t.Fatal(err)
		}
	}
	if l := c.db.Letters(); len(l) != 1 || len(c.openHeads()) != 1 || len(a.openHeads()) != 0 {
		t.Fatalf("letters %+v", l)
	}
	if got, err := a.db.GiveUp(id.Version{Writer: aWriter, Gen: 1}, nil); err != nil || got.Written != 2 {
		t.Fatalf("gave up %+v, %v", got, err)
	}
	level(a, b, c)
	if !c.db.LetterDue(c.db.Letters()[0]) {
		t.Error("the letter is not due")
	}
	alike(t, a, b, c)
	a.want(`k="B"`)
}

// A resolution that did not fit somewhere is given up, on either side, while another version is open beside it and shown: nobody
// refuses it any more, and all show and hold the same.
func TestGivenUpResolutionBesideAnotherVersion(t *testing.T) {
	for _, where := range []string{"taken", "refused"} {
		t.Run(where, func(t *testing.T) {
			a, b := deferring(t)
			level(a, b)
			c := newDevice(t, 3)
			c.policy(1, `{"resolver":"defer"}`)
			level(a, b, c)
			c.quota(1000)
			res := a.resolve(Resolution{ConflictRef: at("k"), Value: []byte(big(3000))})[0]
			c.pull(a)
			b.put("k", `"later"`)
			level(a, b, c)
			if l := c.db.Letters(); len(l) != 1 {
				t.Fatalf("letters %+v", l)
			}
			a.want(`k="later"`)
			if where == "refused" {
				c.giveUpLetters()
			} else if got, err := a.db.GiveUp(res, nil); err != nil || got.Written != 1 {
				t.Fatalf("gave up %+v, %v", got, err)
			}
			level(a, b, c)
			alike(t, a, b, c)
			a.want(`k="later"`)
		})
	}
}
