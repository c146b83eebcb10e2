package rows

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

// policy sets the rules of the database; each call needs the next version.
func (d *device) policy(version uint32, rules string) {
	d.t.Helper()
	if err := d.db.SetSchema(Schema{Version: version, Policy: []byte(`{"rules":[` + rules + `]}`)}); err != nil {
		d.t.Fatal(err)
	}
}

// conflicts lists the rows in conflict: key, siblings, and the ancestor after a bar.
func (d *device) conflicts() []string {
	d.t.Helper()
	var list []string
	err := d.db.Conflicts(ConflictRef{}, func(c Conflict) (bool, error) {
		text := c.Key
		for _, s := range c.Siblings {
			text += " " + content(&s)
		}
		if c.Ancestor != nil {
			text += " | " + content(c.Ancestor)
		}
		list = append(list, text)
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	if n, _ := d.db.OpenConflicts(); n != len(list) {
		d.t.Errorf("device %d counts %d conflicts, and lists %v", d.num, n, list)
	}
	return list
}

func content(s *Sibling) string {
	if s.Deleted {
		return "-"
	}
	return string(s.Value)
}

func (d *device) wantConflicts(want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.conflicts()); diff != "" {
		d.t.Errorf("conflicts of device %d (-want +got):\n%s", d.num, diff)
	}
	if rules, _ := d.check(); rules != nil {
		d.t.Errorf("the store of device %d breaks %v", d.num, rules)
	}
}

func (d *device) resolve(list ...Resolution) []id.Version {
	d.t.Helper()
	versions, err := d.db.Resolve(list, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return versions
}

func at(key string) ConflictRef { return ConflictRef{notes, key} }

// deferring returns two devices that share a row and leave its conflicts open.
func deferring(t *testing.T) (a, b *device) {
	t.Helper()
	a, b = newDevice(t, 1).create(), newDevice(t, 2)
	a.policy(1, `{"resolver":"defer"}`)
	b.policy(1, `{"resolver":"defer"}`)
	a.put("k", `"base"`)
	b.pull(a)
	a.put("k", `"a"`)
	b.put("k", `"b"`)
	b.put("k", `"B"`)
	return a, b
}

// level lets the devices pull from each other until nothing is new.
func level(devices ...*device) {
	for moved := 1; moved > 0; {
		moved = 0
		for _, to := range devices {
			for _, from := range devices {
				if to != from {
					moved += to.pull(from).Records
				}
			}
		}
	}
}

// reference: sync-184 a conflict that is deferred stays open and visible on both sides with all its states, readers see the
// last, other rows go on, and a resolution made anywhere ends it everywhere.
func TestDeferredConflictStaysOpen(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	a.wantConflicts(`k "a" "B" | "base"`)
	b.wantConflicts(`k "B" "a" | "base"`)
	a.put("other", `1`)
	level(a, b)
	for _, d := range []*device{a, b} {
		d.want(`k="B"`, `other=1`)
	}
	a.crash()
	a.wantConflicts(`k "a" "B" | "base"`)
	b.resolve(Resolution{ConflictRef: at("k"), Value: []byte(`"both"`)})
	level(a, b)
	for _, d := range []*device{a, b} {
		d.want(`k="both"`, `other=1`)
		d.wantConflicts()
	}
}

// A plain write goes on top of what its writer saw. The other versions stay open, also those that the same device wrote.
func TestAWriteLeavesOtherHeadsOpen(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	a.put("k", `"on B"`)
	level(a, b)
	for _, d := range []*device{a, b} {
		d.want(`k="on B"`)
		if got := len(d.conflicts()); got != 1 {
			t.Errorf("device %d has %d conflicts", d.num, got)
		}
	}
	a.wantConflicts(`k "on B" "a" | "base"`)
	b.del("k")
	level(a, b)
	for _, d := range []*device{a, b} {
		d.want()
	}
	a.wantConflicts(`k "a" - | "base"`)
	a.crash()
	a.resolve(Resolution{ConflictRef: at("k"), Delete: true})
	level(a, b)
	for _, d := range []*device{a, b} {
		d.want()
		d.wantConflicts()
	}
}

// What has the same content is no conflict, and of three states that stay open two that are equal count once.
func TestEqualContentIsNoConflict(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	for _, d := range []*device{a, b, c} {
		d.policy(1, `{"resolver":"defer"}`)
	}
	level(a, b, c)
	a.put("k", `1`)
	b.put("k", `1`)
	level(a, b)
	a.wantConflicts()
	c.put("k", `3`)
	c.put("l", `3`)
	a.put("l", `1`)
	b.put("l", `1`)
	level(a, b, c)
	for _, d := range []*device{a, b, c} {
		list := d.conflicts()
		if len(list) != 2 || strings.Count(list[0], "1") != 1 || strings.Count(list[1], "1") != 1 {
			t.Errorf("device %d has %q", d.num, list)
		}
		d.wantConflicts(list...)
	}
}

// A row keeps a bounded number of heads open; those beyond lose to the last writer, and are counted.
func TestOpenHeadsAreBounded(t *testing.T) {
	empty, center := newDevice(t, 2).create(), newDevice(t, 1)
	center.pull(empty)
	center.policy(1, `{"resolver":"defer"}`)
	for i := range byte(MaxOpenHeads + 3) {
		d := newDevice(t, 10+i)
		d.policy(1, `{"resolver":"defer"}`)
		d.pull(empty)
		d.put("k", fmt.Sprint(i))
		center.pull(d)
	}
	c, err := center.db.Conflict(at("k"))
	if err != nil || len(c.Siblings) != MaxOpenHeads {
		t.Errorf("%d siblings, %v", len(c.Siblings), err)
	}
	if _, overflow := center.db.OpenConflicts(); overflow != 3 {
		t.Errorf("%d were too many, want 3", overflow)
	}
	if rules, _ := center.check(); rules != nil {
		t.Errorf("the store breaks %v", rules)
	}
}

// reference: sync-182 two devices each pick their own side: the picks are new versions, so neither is refused, the last of them wins
// on both, and what is written afterwards arrives.
//
// reference: sync-185 resolving by a delete removes the row everywhere.
func TestOppositePicksConverge(t *testing.T) {
	for _, test := range [][2]string{{"local", "local"}, {"local", "remote"}, {"remote", "remote"}, {"delete", "local"}, {"value", "local"}, {"delete", "delete"}} {
		a, b := deferring(t)
		level(a, b)
		picked := map[string]string{}
		pick := func(d *device, what string) {
			c, err := d.db.Conflict(at("k"))
			if err != nil {
				t.Fatal(err)
			}
			r := Resolution{ConflictRef: at("k")}
			switch what {
			case "local":
				r.Pick, picked = c.Siblings[0].Version, map[string]string{"k": content(&c.Siblings[0])}
			case "remote":
				r.Pick, picked = c.Siblings[1].Version, map[string]string{"k": content(&c.Siblings[1])}
			case "delete":
				r.Delete, picked = true, map[string]string{}
			default:
				r.Value, picked = []byte(`"merged"`), map[string]string{"k": `"merged"`}
			}
			d.resolve(r)
		}
		pick(a, test[0])
		b.now = a.now.Add(time.Second)
		pick(b, test[1])
		level(a, b)
		a.wantConflicts()
		b.wantConflicts()
		for _, d := range []*device{a, b} {
			if got := d.contents(); !maps.Equal(got, picked) {
				t.Errorf("%v: device %d has %v, want the last pick, %v", test, d.num, got, picked)
			}
		}
		a.put("after", `1`)
		b.put("k", `2`)
		level(a, b)
		for _, d := range []*device{a, b} {
			d.holds(map[string]string{"after": `1`, "k": `2`})
		}
	}
}

// reference: sync-219 the ancestor of a conflict is the nearest common one, also where links have joined histories.
func TestAncestorAfterLinks(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `"base"`)
	b.pull(a)
	a.put("k", `"a"`)
	b.put("k", `"b"`)
	b.put("k", `"B"`)
	level(a, b) // settled by links
	a.policy(1, `{"resolver":"defer"}`)
	b.policy(1, `{"resolver":"defer"}`)
	a.put("k", `"a2"`)
	b.put("k", `"b2"`)
	b.put("k", `"B2"`)
	level(a, b)
	a.wantConflicts(`k "a2" "B2" | "B"`)
	b.wantConflicts(`k "B2" "a2" | "B"`)
}

// reference: sync-172 a row that the last writer would win is not settled while a row of the same batch waits.
func TestTheStricterRuleDecidesForABatch(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	for _, d := range []*device{a, b} {
		d.policy(1, `{"collection":"notes","prefix":"strict/","resolver":"app"}`)
	}
	write := func(d *device, keys ...string) {
		var ops []Op
		for _, k := range keys {
			ops = append(ops, Op{Collection: notes, Key: k, Value: fmt.Appendf(nil, "%d", d.num)})
		}
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	level(a, b)
	write(a, "x", "strict/x", "lone")
	write(b, "x")
	write(b, "strict/x", "y")
	write(b, "free")
	write(a, "y", "z")
	write(a, "free")
	level(a, b)
	a.wantConflicts(`strict/x 1 2`, `x 1 2`, `y 1 2`)
	b.wantConflicts(`strict/x 2 1`, `x 2 1`, `y 2 1`)

	g, err := a.db.ConflictGroup(at("y"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, c := range g.Conflicts {
		keys = append(keys, fmt.Sprintf("%s %v", c.Key, c.Open()))
	}
	if diff := cmp.Diff([]string{"strict/x true", "x true", "y true", "lone false", "z false"}, keys); diff != "" || g.Choice.String() != "app" || len(g.Batches) != 4 {
		t.Errorf("group of %s, batches %v (-want +got):\n%s", g.Choice, g.Batches, diff)
	}
	other, err := a.db.ConflictGroup(at("strict/x"))
	if diff := cmp.Diff(g, other); err != nil || diff != "" {
		t.Errorf("the group from another row: %v\n%s", err, diff)
	}
	var list []Resolution
	for _, c := range g.Conflicts {
		if c.Open() {
			list = append(list, Resolution{ConflictRef: c.ConflictRef, Value: []byte(`3`)})
		}
	}
	versions := a.resolve(list...)
	level(a, b)
	for _, d := range []*device{a, b} {
		d.wantConflicts()
		_, nodes, err := d.db.History(notes, "x")
		if err != nil || nodes[0].Batch != versions[0] || nodes[0].Version != versions[1] {
			t.Errorf("the newest version of x is %+v, %v: it should be in the batch of %s", nodes[0], err, versions[0])
		}
	}
}

// reference: sync-186 what a resolver says of a row that is not in conflict, of a version that is none of the siblings, or
// on top of siblings that have changed, is refused, and nothing changes.
func TestBadResolutionsAreRefused(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	before := a.conflicts()
	c, err := a.db.Conflict(at("k"))
	if err != nil {
		t.Fatal(err)
	}
	mine := []id.Version{c.Siblings[0].Version, c.Siblings[1].Version}
	for name, test := range map[string]struct {
		list []Resolution
		want error
	}{
		"unknown row":      {[]Resolution{{ConflictRef: at("k"), Delete: true}, {ConflictRef: at("x"), Value: []byte(`1`)}}, ErrNoConflict},
		"no sibling":       {[]Resolution{{ConflictRef: at("k"), Pick: id.Version{Writer: mine[0].Writer, Gen: 999}}}, ErrInvalid},
		"changed siblings": {[]Resolution{{ConflictRef: at("k"), Siblings: mine[:1], Delete: true}}, ErrConflict},
		"no value":         {[]Resolution{{ConflictRef: at("k")}}, ErrInvalid},
		"twice":            {[]Resolution{{ConflictRef: at("k"), Delete: true}, {ConflictRef: at("k"), Delete: true}}, ErrInvalid},
		"nothing":          {nil, ErrInvalid},
	} {
		if _, err := a.db.Resolve(test.list, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	a.wantConflicts(before...)
}

// Conflicts that were open when the policy changed are settled by the new one as soon as their rows are touched.
func TestPolicyChange(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	if _, all := a.db.TakeConflicts(); !all {
		t.Error("a database that was opened does not say that anything may be in conflict")
	}
	a.policy(2, ``)
	if _, all := a.db.TakeConflicts(); !all {
		t.Error("a change of the policy offers nothing again")
	}
	if changed, all := a.db.TakeConflicts(); all || changed != nil {
		t.Errorf("nothing happened, but %v changed", changed)
	}
	if n, err := a.db.Settle([]ConflictRef{at("k")}); err != nil || n != 1 {
		t.Errorf("settled %d, %v", n, err)
	}
	a.wantConflicts()
	level(a, b)
	b.wantConflicts()
	b.want(`k="B"`)
}

// Destroying a collection ends its conflicts.
func TestDestroyEndsConflicts(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	if err := a.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	if n, _ := a.db.OpenConflicts(); n != 0 {
		t.Errorf("%d conflicts are left", n)
	}
	if rules, _ := a.check(); rules != nil {
		t.Errorf("the store breaks %v", rules)
	}
}

// A device that was set back and becomes another writer keeps its conflicts, with its own side under the new name.
func TestSetBackDeviceKeepsItsConflicts(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	for _, d := range []*device{a, b, c} {
		d.policy(1, `{"resolver":"defer"}`)
	}
	a.put("k", `"base"`)
	level(a, b, c)
	early := a.fs.CrashClone()
	a.put("lost", `1`)
	b.pull(a)
	a.setBack(early)
	a.put("k", `"a"`)
	a.put("l", `"a"`)
	c.put("k", `"c"`)
	a.pull(c)
	a.wantConflicts(`k "a" "c" | "base"`)
	before, _ := a.db.Conflict(at("k"))
	if !a.examine(b) {
		t.Fatal("the device does not see that it was set back")
	}
	a.wantConflicts(`k "a" "c" | "base"`)
	after, _ := a.db.Conflict(at("k"))
	if before.Siblings[0].Version == after.Siblings[0].Version {
		t.Error("the local side has kept its name")
	}
	level(a, b, c)
	a.resolve(Resolution{ConflictRef: at("k"), Value: []byte(`"both"`)})
	level(a, b, c)
	for _, d := range []*device{a, b, c} {
		d.want(`k="both"`, `l="a"`, `lost=1`)
		d.wantConflicts()
	}
}

// Devices resolve what they see in conflict, each in its own way, while they write and exchange: it comes to an end, and
// to the same rows everywhere.
func TestResolutionsTerminate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 3).Draw(rt, "devices")
		devices := make([]*device, n)
		for i := range devices {
			devices[i] = newDevice(t, byte(i+1))
			devices[i].policy(1, `{"resolver":"app"}`)
		}
		defer func() {
			for _, d := range devices {
				d.close()
			}
		}()
		devices[0].create()
		level(devices...)
		which := rapid.IntRange(0, n-1)
		keys := []string{"x", "y"}
		resolutions := 0
		resolve := func(d *device, how string) {
			for _, ref := range d.refs() {
				g, err := d.db.ConflictGroup(ref)
				if errors.Is(err, ErrNoConflict) {
					continue
				}
				if err != nil {
					rt.Fatal(err)
				}
				var list []Resolution
				for i := range g.Conflicts {
					c := &g.Conflicts[i]
					if !c.Open() {
						continue
					}
					r := Resolution{ConflictRef: c.ConflictRef}
					switch how {
					case "local":
						r.Pick = c.Siblings[0].Version
					case "remote":
						r.Pick = c.Siblings[1].Version
					case "delete":
						r.Delete = true
					default:
						resolutions++
						r.Value = fmt.Appendf(nil, "%d", 1000*int(d.num)+resolutions)
					}
					list = append(list, r)
				}
				d.resolve(list...)
			}
		}
		hows := rapid.SampledFrom([]string{"local", "remote", "delete", "merge"})
		for i := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			d := devices[which.Draw(rt, "who")]
			switch rapid.SampledFrom([]string{"put", "batch", "delete", "pull", "pull", "resolve"}).Draw(rt, "what") {
			case "put":
				d.put(rapid.SampledFrom(keys).Draw(rt, "key"), fmt.Sprint(i))
			case "batch":
				var ops []Op
				for _, k := range keys {
					ops = append(ops, Op{Collection: notes, Key: k, Value: fmt.Appendf(nil, "%d", i)})
				}
				if _, err := d.db.Commit(ops, nil); err != nil {
					rt.Fatal(err)
				}
			case "delete":
				d.del(rapid.SampledFrom(keys).Draw(rt, "key"))
			case "pull":
				if from := devices[which.Draw(rt, "from")]; from != d {
					d.pull(from)
				}
			case "resolve":
				resolve(d, hows.Draw(rt, "how"))
			}
		}
		// Whoever sees a conflict resolves it, in a way of its own.
		for round := 0; ; round++ {
			moved := 0
			for i, d := range devices {
				for _, from := range devices {
					if from != d {
						moved += d.pull(from).Records
					}
				}
				resolve(d, []string{"merge", "local", "remote"}[i])
			}
			if moved == 0 {
				break
			}
			if round > 20 {
				rt.Fatalf("still resolving after %d rounds", round)
			}
		}
		for _, d := range devices {
			if diff := cmp.Diff(devices[0].rows(), d.rows()); diff != "" || len(d.conflicts()) > 0 {
				rt.Fatalf("device %d has %v in conflict; rows (-1 +%d):\n%s", d.num, d.conflicts(), d.num, diff)
			}
			if rules, _ := d.check(); rules != nil {
				rt.Fatalf("the store of device %d breaks %v", d.num, rules)
			}
		}
	})
}

func (d *device) refs() []ConflictRef {
	d.t.Helper()
	refs, err := d.db.ConflictRefs()
	if err != nil {
		d.t.Fatal(err)
	}
	return refs
}
