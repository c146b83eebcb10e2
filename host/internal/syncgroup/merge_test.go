package syncgroup

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/perm"
)

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// reference: sync-194 of what two administrators change at the same time both count; where both change the same, the
// preferred side does; and what never changes is not changed by merging either.
//
// reference: sync-75 with one of them preferred, the texts are that one's, and access lists are merged tag by tag.
//
// reference: sync-76 with the other preferred, just the texts differ.
//
// reference: sync-77 without an ancestor, the texts are those of the preferred one and the lists have what either has.
func TestSpecsMergeByField(t *testing.T) {
	base := spec()
	base.Description, base.Publish = "old", "old.server"
	one, two := base, base
	one.Description, one.Publish = "one", "one.server"
	one.Permissions = perm.List{perm.Admin: base.Permissions[perm.Admin], perm.Read: {In: []perm.Pattern{perm.Pattern(owner), "one"}}}
	two.Description, two.Private, two.Creator = "two", true, "somebody.else"
	two.Permissions = perm.List{perm.Admin: {In: []perm.Pattern{perm.Pattern(owner), "two"}}, perm.Read: {In: []perm.Pattern{perm.Pattern(owner)}}}
	want := base
	want.Description, want.Publish, want.Private = "one", "one.server", true
	want.Permissions = perm.List{
		perm.Admin: {In: []perm.Pattern{perm.Pattern(owner), "two"}}, perm.Read: {In: []perm.Pattern{"one", perm.Pattern(owner)}},
	}
	check := func(name string, ancestor []byte, preferred, other, want Spec) {
		t.Helper()
		merged, ok := Merge(Metadata(sg), specKey, ancestor, [][]byte{encode(t, preferred), encode(t, other)})
		got, err := parseSpec(merged)
		if !ok || err != nil {
			t.Fatalf("%s: merged to %s, %t, %v", name, merged, ok, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	check("one preferred", encode(t, base), one, two, want)
	want.Description, want.Creator = "two", two.Creator
	check("the other preferred", encode(t, base), two, one, want)
	// What only one of them has, both have changed then.
	want.Publish = two.Publish
	check("no ancestor", nil, two, one, want)
}

// What a program does not know of yet it merges all the same.
func TestUnknownFieldsAreMerged(t *testing.T) {
	const base = `{"collections":[{"owner":"o","name":"c"}],"creator":"o","permissions":{"Admin":{"in":["o"]}},"a":1,"b":[1, 2],"gone":1}`
	const one = `{"collections":[{"owner":"o","name":"c"}],"creator":"o","permissions":{"Admin":{"in":["o"]}},"a":2,"b":[1,2],"gone":1}`
	const two = `{"collections":[{"owner":"o","name":"c"}],"creator":"o","permissions":{"Admin":{"in":["o"]}},"a":1,"b":[1,2],"new":{"x":1}}`
	got, ok := Merge(Metadata(sg), specKey, []byte(base), [][]byte{[]byte(one), []byte(two)})
	const want = `{"a":2,"b":[1,2],"collections":[{"name":"c","owner":"o"}],"creator":"o","new":{"x":1},"permissions":{"Admin":{"in":["o"]}}}`
	if !ok || string(got) != want {
		t.Errorf("%s, %t\nwant %s", got, ok, want)
	}
}

func TestWhatCannotBeMergedIsLeftAlone(t *testing.T) {
	good := encode(t, spec())
	for name, c := range map[string]struct {
		key    string
		values [][]byte
	}{
		"another row":    {"ack/x", [][]byte{good, good}},
		"nothing":        {specKey, nil},
		"no JSON":        {specKey, [][]byte{good, []byte(`{`)}},
		"no object":      {specKey, [][]byte{[]byte(`[]`), good}},
		"null":           {specKey, [][]byte{[]byte(`null`), good}},
		"no access list": {specKey, [][]byte{good, []byte(`{"permissions":1}`)}},
		"no valid spec":  {specKey, [][]byte{[]byte(`{"a":1}`), []byte(`{"b":1}`)}},
		"no register":    {memberPrefix + "x", [][]byte{[]byte(`{"joined":1}`), []byte(`{}`)}},
	} {
		if got, ok := Merge(Metadata(sg), c.key, []byte(`{}`), c.values); ok {
			t.Errorf("%s: merged to %s", name, got)
		}
	}
	if got, ok := Merge(notes, specKey, nil, [][]byte{good, good}); ok {
		t.Errorf("a row of an application was merged to %s", got)
	}
}

// at is a time, in seconds after some beginning.
func at(s int) time.Time { return time.Unix(1_700_000_000+int64(s), 0).UTC() }

// reference: sync-79 a device that joined again after it had left is a member.
//
// reference: sync-80 a device that left after it had joined is none.
//
// reference: sync-195 of leaving and joining again, made out of each other's sight, the later one counts, whichever side is
// preferred; an address announced meanwhile undoes neither, and is kept. An ejection is not undone by somebody who lets the
// device in without knowing of it.
func TestLaterChangeOfMembershipCounts(t *testing.T) {
	base := Member{Type: Normal, Device: "1", Joined: at(0), Addresses: []string{"old:1"}}
	left := base
	left.Gone, left.Changed = GoneLeft, at(5)
	joined := base
	joined.Changed, joined.Type, joined.Device = at(7), Server, "2"
	ejected := base
	ejected.Gone, ejected.By, ejected.Changed = GoneEjected, "admin", at(9)
	leftAgain := joined
	leftAgain.Gone, leftAgain.Changed = GoneLeft, at(8)
	late := joined
	late.Changed = at(100)
	pardoned := ejected
	pardoned.Gone, pardoned.By, pardoned.Changed, pardoned.Pardoned = GoneLeft, "", at(10), at(9)
	back := pardoned
	back.Gone, back.Changed = "", at(11)
	outAgain := ejected
	outAgain.Changed = at(12)
	moved := base
	moved.Addresses = []string{"new:1"}
	movedOut := ejected
	movedOut.Addresses = moved.Addresses
	for name, c := range map[string]struct{ one, two, want Member }{
		"left, then joined":     {left, joined, joined},
		"joined, then left":     {joined, leftAgain, leftAgain},
		"left, then left again": {left, leftAgain, leftAgain},
		"left, then ejected":    {left, ejected, ejected},
		"joined, then ejected":  {joined, ejected, func() Member { m := ejected; m.Type = Server; return m }()},
		"ejected, then joined":  {ejected, late, func() Member { m := ejected; m.Type = Server; return m }()},
		"pardoned meanwhile":    {ejected, pardoned, pardoned},
		"pardoned and back":     {ejected, back, back},
		"pardon is remembered":  {late, pardoned, func() Member { m := late; m.Pardoned = at(9); return m }()},
		"pardoned, not this":    {outAgain, back, func() Member { m := outAgain; m.Pardoned = at(9); return m }()},
		"moved, then ejected":   {moved, ejected, movedOut},
		"moved, while it left":  {moved, left, func() Member { m := left; m.Addresses = moved.Addresses; return m }()},
		"moved, while it moved": {moved, moved, moved},
	} {
		for _, values := range [][][]byte{{encode(t, c.one), encode(t, c.two)}, {encode(t, c.two), encode(t, c.one)}} {
			merged, ok := Merge(Metadata(sg), memberPrefix+"x", encode(t, base), values)
			var got Member
			if err := json.Unmarshal(merged, &got); !ok || err != nil {
				t.Fatalf("%s: %s, %t, %v", name, merged, ok, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

// However specifications are changed, merging is repeatable, idempotent, and leaves something that is valid.
func TestMergeOfSpecsLaws(t *testing.T) {
	patterns := rapid.SliceOfNDistinct(rapid.SampledFrom([]perm.Pattern{"a", "b", "c/d", perm.Everyone}), 0, 3, rapid.ID)
	specs := rapid.Custom(func(rt *rapid.T) Spec {
		s := spec()
		s.Description = rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "description")
		s.Private = rapid.Bool().Draw(rt, "private")
		s.Permissions = perm.List{
			perm.Admin: {In: append(patterns.Draw(rt, "admin"), "always"), NotIn: patterns.Draw(rt, "not admin")},
			perm.Read:  {In: patterns.Draw(rt, "read")},
		}
		if s.Validate() != nil {
			s.Permissions = perm.For(owner, perm.SyncgroupTags)
		}
		return s
	})
	rapid.Check(t, func(rt *rapid.T) {
		base, one, two := encode(t, specs.Draw(rt, "base")), encode(t, specs.Draw(rt, "one")), encode(t, specs.Draw(rt, "two"))
		merged, ok := Merge(Metadata(sg), specKey, base, [][]byte{one, two})
		if _, err := parseSpec(merged); !ok || err != nil {
			rt.Fatalf("%s and %s merge to %s, %t, %v", one, two, merged, ok, err)
		}
		if again, _ := Merge(Metadata(sg), specKey, base, [][]byte{one, two}); string(again) != string(merged) {
			rt.Fatalf("merged twice: %s and %s", merged, again)
		}
		if same, ok := Merge(Metadata(sg), specKey, base, [][]byte{merged, merged}); !ok || string(same) != string(merged) {
			rt.Fatalf("%s merged with itself: %s", merged, same)
		}
	})
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(`{"permissions":{"Admin":{"in":["a"]}}}`), []byte(`{"a":[1,{"b":null}]}`), []byte(`{}`))
	f.Add([]byte(`{"joined":"2020-01-01T00:00:00Z"}`), []byte(`{"gone":"left"}`), []byte(`{"changed":"x"}`))
	f.Fuzz(func(t *testing.T, base, one, two []byte) {
		for _, key := range []string{specKey, memberPrefix + "x"} {
			merged, ok := Merge(Metadata(sg), key, base, [][]byte{one, two})
			if ok && key == specKey && string(merged) != string(one) {
				if _, err := parseSpec(merged); err != nil {
					t.Errorf("merged to %s: %v", merged, err)
				}
			}
		}
	})
}

// What a device said last of itself is not taken back by merges that were made without it, from whichever version: they
// would be answered, and that merged, without end.
func TestLatestAnnouncementIsKept(t *testing.T) {
	silent := Member{Type: Normal, Joined: at(0), Changed: at(1)}
	former, latest := silent, silent
	former.Addresses, former.Told = []string{"10.0.0.2:4001"}, 1
	latest.Addresses, latest.Told, latest.Type = []string{"10.0.0.2:4001"}, 2, Server
	key := memberPrefix + "b"
	for _, ancestor := range []any{silent, former, latest} {
		for _, other := range []Member{silent, former} {
			for _, values := range [][][]byte{{encode(t, other), encode(t, latest)}, {encode(t, latest), encode(t, other)}} {
				got, ok := Merge(Metadata(sg), key, encode(t, ancestor), values)
				var m Member
				if err := json.Unmarshal(got, &m); err != nil || !ok || m.Told != 2 || len(m.Addresses) != 1 || m.Type != Server {
					t.Errorf("merged to %s, %t, %v; want the second announcement", got, ok, err)
				}
			}
		}
	}
}
