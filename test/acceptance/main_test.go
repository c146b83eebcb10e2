package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const twoTests = `package a

// reference: store-001 names are names.
//
// reference: store-2
// Keys are keys.
func TestNames(t *testing.T) {
	// reference: sync-001a within a test.
}

func TestOther(t *testing.T) {}
`

// tree is a small module in which twoTests is the only file whose claims count.
func tree() fstest.MapFS {
	elsewhere := &fstest.MapFile{Data: []byte("package b\n\n// reference: store-003 elsewhere.\nfunc TestB(t *testing.T) {}\n")}
	return fstest.MapFS{
		"a/a_test.go": {Data: []byte(twoTests)}, "a/testdata/b_test.go": elsewhere, ".hidden/b_test.go": elsewhere,
		"nested/go.mod": {Data: []byte("module nested\n")}, "nested/b_test.go": elsewhere, "a/a.go": elsewhere,
	}
}

func pages(store, sync string) fstest.MapFS {
	return fstest.MapFS{"store.txt": {Data: []byte(store)}, "sync.txt": {Data: []byte(sync)}}
}

const (
	storePage = "# a comment\nscope 1-3\n\n3 later: this and that\n"
	syncPage  = "scope 1,1a\n1 another design\n"
)

func TestReport(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out, tree(), pages(storePage, syncPage)); err != nil {
		t.Fatal(err)
	}
	want := `store  held by, or why not
001    a.TestNames
002    a.TestNames
003    not held: later: this and that

sync  held by, or why not
001   not held: another design
001a  a.TestNames

store: 2 held, 1 not held of 3
sync: 1 held, 1 not held of 2
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ test, store, want string }{
		"no such case":     {"// reference: store-009 x.\nfunc TestX(t *testing.T) {}", storePage, "x_test.go:3: there is no case store-009"},
		"no such page":     {"// reference: blobs-001 x.\nfunc TestX(t *testing.T) {}", storePage, "x_test.go:3: there is no page blobs"},
		"no number":        {"// reference: store x.\nfunc TestX(t *testing.T) {}", storePage, `x_test.go:3: reference "store": want a page and a number`},
		"no behaviour":     {"// reference: store-001\nfunc TestX(t *testing.T) {}", storePage, "x_test.go:3: store-001 has no line that says the behaviour"},
		"at no test":       {"// reference: store-001 x.\nfunc helper() {}", storePage, "x_test.go:3: the reference stands at no test"},
		"at a variable":    {"// reference: store-001 x.\nvar x int\n\nfunc TestX(t *testing.T) {}", storePage, "x_test.go:3: the reference stands at no test"},
		"claimed and open": {"// reference: store-003 x.\nfunc TestX(t *testing.T) {}", storePage, `store.txt says of 003: "later: this and that"; but x.TestX claims it`},
		"unexplained":      {"", "scope 1-3\n", "store-003 is neither claimed by a test nor explained in store.txt"},
		"out of scope":     {"", storePage + "7 whatever\n", "store.txt explains 007, which is not in its scope"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := tree()
			fs["x/x_test.go"] = &fstest.MapFile{Data: []byte("package x\n\n" + c.test + "\n")}
			var out bytes.Buffer
			err := run(&out, fs, pages(c.store, syncPage))
			if err == nil || err.Error() != "faults: 1, listed above" {
				t.Errorf("error: %v, want one fault", err)
			}
			if !strings.Contains(out.String(), "fault: "+c.want) && !strings.Contains(out.String(), "fault: x/"+c.want) {
				t.Errorf("no fault %q in:\n%s", c.want, out.String())
			}
		})
	}
}

func TestMalformedPages(t *testing.T) {
	for _, store := range []string{"scope 0\n", "scope 1-1000\n", "scope x\n", "1\n", "1 a\n1 b\n", "1aa reason\n"} {
		var out bytes.Buffer
		err := run(&out, tree(), pages(store, syncPage))
		if err == nil || !strings.HasPrefix(err.Error(), "store.txt:") {
			t.Errorf("%q: %v, want an error that names the line", store, err)
		}
	}
}
