package blobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

func refOf(text string) chunk.Ref { return chunk.Ref(chunk.Sum([]byte(text))) }

// at puts references in place of $a, $b and $c.
func at(value string) []byte {
	for _, name := range []string{"a", "b", "c"} {
		value = strings.ReplaceAll(value, "$"+name+"$", `{"$blob":"`+refOf(name).String()+`"}`)
		value = strings.ReplaceAll(value, "#"+name+"#", refOf(name).String())
	}
	return []byte(value)
}

func TestRefs(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{``, ""}, {`null`, ""}, {`{}`, ""}, {`"#a#"`, ""},
		{`$a$`, "a"},
		{` $a$ `, "a"},
		{`{"x":$a$}`, "a"},
		{`[$a$,$b$,$a$]`, "a b"},
		{`[[],[$a$]]`, "a"},
		{`[{"b":[]},{"b":[$c$]}]`, "c"},
		{`{"x":{},"y":[1,{"z":$b$}],"w":"#a#"}`, "b"},
		{`{"x":{"y":{"z":[[[$a$]]]}},"u":$c$}`, "a c"},
		{`{ "$blob" : "#a#" }`, "a"},
		{`{"$blob":"#a#","more":1}`, ""},
		{`{"more":1,"$blob":"#a#"}`, ""},
		{`{"$blob":"#a#","$blob":"#b#"}`, ""},
		{`{"$blob":"#a#","x":$b$}`, "b"},
		{`{"$blob":$a$}`, "a"},
		{`{"$blob":["#a#"]}`, ""},
		{`{"$blob":null}`, ""}, {`{"$blob":7}`, ""}, {`{"$blob":""}`, ""},
		{`{"$blob":"blob1-00"}`, ""},
		{`{"$blob":" #a#"}`, ""},
		{`["$blob","#a#"]`, ""},
		{`{"x":"$blob","y":"#a#"}`, ""},
		{`{"\u0024blob":"#a#"}`, ""},
		{`[{"\u0024blob":"#a#"},$b$]`, "b"},
		{`{"$blob":"#a#"`, ""},
		{`$a$ $b$`, ""},
		{`$a$x`, ""},
		{`[$a$,]`, ""},
		{"\xff$a$", ""},
	} {
		var got []string
		for _, ref := range blobs.Refs(at(c.value)) {
			for _, name := range []string{"a", "b", "c"} {
				if refOf(name) == ref {
					got = append(got, name)
				}
			}
		}
		if diff := cmp.Diff(strings.Fields(c.want), got); strings.Join(got, " ") != c.want {
			t.Errorf("%s (-want +got):\n%s", c.value, diff)
		}
	}
}

func TestRefsAreBounded(t *testing.T) {
	var many []string
	for i := range blobs.MaxRefs + 5 {
		many = append(many, fmt.Sprintf(`{"$blob":%q}`, refOf(fmt.Sprint(i))))
	}
	if got := len(blobs.Refs([]byte("[" + strings.Join(many, ",") + "]"))); got != blobs.MaxRefs {
		t.Errorf("%d references, want %d", got, blobs.MaxRefs)
	}
	deep := strings.Repeat("[", 100_000) + string(at("$a$")) + strings.Repeat("]", 100_000)
	if got := blobs.Refs([]byte(deep)); len(got) != 1 {
		t.Errorf("%d references at great depth, want 1", len(got))
	}
}

func FuzzRefs(f *testing.F) {
	for _, value := range []string{`$a$`, `[{"b":[]},{"b":[$c$]}]`, `{"$blob":"#a#","x":$b$}`} {
		f.Add(at(value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, ref := range blobs.Refs(value) {
			if !strings.Contains(string(value), strings.TrimPrefix(ref.String(), "blob1-")[:8]) && !strings.Contains(string(value), `\`) {
				t.Fatalf("reference %v is not in the value", ref)
			}
		}
		if err := blobs.CheckRefs(value); err != nil && !strings.Contains(string(value), `"$blob"`) {
			t.Fatalf("a value without references is refused: %v", err)
		}
	})
}

func (f fixture) index(t *testing.T, key, old, new string) {
	t.Helper()
	b := f.kv.NewBatch()
	if err := f.IndexRow(b, 1, 2, key, at(old), at(new)); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(kv.NoSync); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) rows(t *testing.T, ref chunk.Ref) (rows []string) {
	t.Helper()
	err := f.ReferencedBy(ref, func(db, collection uint32, key string) error {
		rows = append(rows, fmt.Sprintf("%d/%d/%s", db, collection, key))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (f fixture) missing(t *testing.T) map[chunk.Ref]bool {
	t.Helper()
	all := make(map[chunk.Ref]bool)
	if err := f.EachMissing(func(ref chunk.Ref) error { all[ref] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestIndexRowFollowsTheRow(t *testing.T) {
	f := newFixture(t)
	f.index(t, "k", "", `$a$`)
	f.index(t, "l", "", `[$a$,$b$]`)
	if diff := cmp.Diff([]string{"1/2/k", "1/2/l"}, f.rows(t, refOf("a"))); diff != "" {
		t.Errorf("two rows (-want +got):\n%s", diff)
	}
	f.index(t, "k", `$a$`, `$c$`)
	f.index(t, "l", `[$a$,$b$]`, "")
	for name, want := range map[string][]string{"a": nil, "b": nil, "c": {"1/2/k"}} {
		if diff := cmp.Diff(want, f.rows(t, refOf(name))); diff != "" {
			t.Errorf("%s after the change (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(map[chunk.Ref]bool{refOf("c"): true}, f.missing(t)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestMissingEndsWithTheBlob(t *testing.T) {
	f := newFixture(t)
	data := random(1, 100_000)
	late := recipeOf(t, data).Ref()
	value := fmt.Sprintf(`{"$blob":%q}`, late)
	f.index(t, "k", "", value)
	if !f.missing(t)[late] {
		t.Error("a reference to an absent blob is not missing")
	}
	f.put(t, data)
	if len(f.missing(t)) > 0 {
		t.Error("the blob is whole and still missing")
	}
	f.index(t, "l", "", value)
	if len(f.missing(t)) > 0 {
		t.Error("a reference to a whole blob is missing")
	}
}

func TestCheckRefs(t *testing.T) {
	const fine = ""
	for _, c := range []struct{ value, want string }{
		{`null`, fine}, {`{}`, fine}, {`"$blob"`, fine}, {`["$blob","x"]`, fine}, {`{"x":"$blob"}`, fine},
		{`$a$`, fine}, {`[{"x":$a$},$b$]`, fine},
		// Not the only member, or spelled otherwise: ordinary data.
		{`{"$blob":"garbage","more":1}`, fine}, {`{"more":1,"$blob":5}`, fine}, {`{"\u0024blob":5}`, fine},
		{`{"$blob":"garbage"}`, `"garbage"`},
		{`{"$blob":""}`, `""`},
		{`{"$blob":"blob1-00"}`, `"blob1-00"`},
		{`{"$blob":" #a#"}`, `" blob1-`},
		{`{"$blob":5}`, `5`},
		{`{"$blob":null}`, `null`},
		{`{"$blob":true}`, `true`},
		{`{"$blob":["#a#"]}`, `a list`},
		{`{"$blob":{}}`, `an object`},
		{`{"$blob":$a$}`, `an object`},
		{`[{"x":{"y":$a$}},{"z":[1,{"$blob":"deep"}]}]`, `"deep"`},
		{`{"x":{"$blob":"first"},"y":{"$blob":"second"}}`, `"first"`},
	} {
		err := blobs.CheckRefs(at(c.value))
		if c.want == fine {
			if err != nil {
				t.Errorf("%s: %v", c.value, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "64 lower-case hexadecimal digits") {
			t.Errorf("%s: error %v, want one that shows %s and what a reference is", c.value, err, c.want)
		}
	}
	long := blobs.CheckRefs([]byte(`{"$blob":"` + strings.Repeat("x", 1<<20) + `"}`))
	if long == nil || len(long.Error()) > 500 {
		t.Errorf("a reference of a megabyte: %.100v", long)
	}
}
