package rows

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

func outcome(versions []id.Version, err error) string {
	if err != nil {
		return strings.SplitN(err.Error(), ", its quota", 2)[0]
	}
	return fmt.Sprint(versions)
}

// history is all that the device shows of the rows: versions with their ancestors, commits with their changes, conflicts.
func (d *device) history(keys ...string) (all []string) {
	d.t.Helper()
	for _, key := range keys {
		head, nodes, err := d.db.History(notes, key)
		if err != nil && !errors.Is(err, ErrNoRow) {
			d.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s is %s", key, head))
		for _, n := range nodes {
			all = append(all, fmt.Sprintf("%s %s of %v: %s", key, n.Version, n.Parents, n.Value))
		}
	}
	_, err := d.db.ReadLog(0, nil, func(b Batch) (bool, error) {
		for _, c := range b.Changes {
			all = append(all, fmt.Sprintf("%d %s: %s %s %t %s", b.Seq, b.Name, c.Key, c.Version, c.Deleted, c.Value))
		}
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return append(append(all, d.conflicts()...), fmt.Sprintf("own %s", d.db.Published().Know.Own()))
}

// Commits that are written together are what they would be one after the other: in what each answers, in what readers, watchers
// and peers see, and after a crash; whatever fails among them fails alone.
func TestCommitsTogetherAreCommitsInTurn(t *testing.T) {
	keys := []string{"a", "b", "c", "k", "open/x", "open/y"}
	elsewhere := id.Collection{Name: id.Name{Owner: owner, Local: "none"}}
	one := rapid.Custom(func(r *rapid.T) Op {
		op := Op{Collection: notes, Key: rapid.SampledFrom(keys).Draw(r, "key")}
		switch rapid.IntRange(0, 19).Draw(r, "kind") {
		default:
			op.Value = fmt.Appendf(nil, "%d", rapid.IntRange(0, 3).Draw(r, "value"))
		case 0, 1, 2, 3:
			op.Kind = OpDelete
		case 4, 5, 6:
			op.Kind, op.Expect = OpCheck, &Expect{Absent: rapid.Bool().Draw(r, "absent"), Value: []byte(`1`)}
		case 7:
			op.Collection, op.Value = elsewhere, []byte(`1`)
		case 8:
			op.Value = []byte(big(500))
		case 9:
			op.Value = []byte(`{`)
		}
		return op
	})
	lists := rapid.SliceOfN(rapid.SliceOfN(one, 1, 4), 1, 12)
	rapid.Check(t, func(r *rapid.T) {
		turn, together, other := newDevice(t, 1).create(), newDevice(t, 1).create(), newDevice(t, 2)
		defer other.close()
		defer turn.close()
		defer together.close()
		other.pull(turn)
		for _, d := range []*device{turn, together} {
			d.policy(1, `{"collection":"test.local/owner:notes","prefix":"open/","resolver":"defer"}`)
			d.put("open/x", `5`)
			d.put("a", `5`)
		}
		other.put("open/x", `6`)
		turn.pull(other)
		together.pull(other)
		if rapid.Bool().Draw(r, "quota") {
			turn.quota(900)
			together.quota(900)
		}
		for range 3 {
			group := lists.Draw(r, "commits")
			var want, got []string
			for _, ops := range group {
				want = append(want, outcome(turn.db.Commit(ops, nil)))
			}
			for _, s := range together.db.StartCommits(group, nil) {
				got = append(got, outcome(s.Wait()))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				r.Fatalf("outcomes (-in turn +together):\n%s", diff)
			}
		}
		for range 2 {
			if diff := cmp.Diff(turn.history(keys...), together.history(keys...)); diff != "" {
				r.Fatalf("-in turn +together:\n%s", diff)
			}
			if turn.recount() != together.recount() {
				r.Fatalf("stored are %d and %d bytes", turn.recount(), together.recount())
			}
			together.sound()
			together.crash()
			turn.crash()
		}
	})
}

// The rows of all commits of a group are loaded together. What one commit settles is what it writes, all the same.
func TestRowsThatLaterCommitsWriteAreLeftToThem(t *testing.T) {
	turn, together, other := newDevice(t, 1).create(), newDevice(t, 1).create(), newDevice(t, 2)
	other.pull(turn)
	keys := []string{"open/x", "open/y"}
	for _, d := range []*device{turn, together} {
		d.policy(1, `{"collection":"test.local/owner:notes","prefix":"open/","resolver":"defer"}`)
	}
	for _, key := range keys {
		turn.put(key, `5`)
		together.put(key, `5`)
		other.put(key, `6`)
	}
	turn.pull(other)
	together.pull(other)
	turn.policy(2, ``)
	together.policy(2, ``)

	var group [][]Op
	for i := range prefetchFrom {
		keys = append(keys, fmt.Sprint("row/", i))
	}
	for _, key := range keys {
		group = append(group, []Op{{Collection: notes, Key: key, Value: []byte(`7`)}})
	}
	var want, got []string
	for _, ops := range group {
		want = append(want, outcome(turn.db.Commit(ops, nil)))
	}
	for _, s := range together.db.StartCommits(group, nil) {
		got = append(got, outcome(s.Wait()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-in turn +together):\n%s", diff)
	}
	if diff := cmp.Diff(turn.history(keys...), together.history(keys...)); diff != "" {
		t.Errorf("-in turn +together:\n%s", diff)
	}
	for _, d := range []*device{turn, together, other} {
		d.close()
	}
}
