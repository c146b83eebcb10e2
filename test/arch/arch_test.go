package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// list describes every package of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,TestImports,XTestImports", module+"/...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs
		case err != nil:
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func TestImportGraph(t *testing.T) {
	pkgs := list(t)
	if len(pkgs) < 10 {
		t.Fatalf("go list found %d packages only; the check would mean nothing", len(pkgs))
	}
	for _, breach := range checkGraph(pkgs) {
		t.Error(breach)
	}
}

func TestNoClockNorGoroutineInCores(t *testing.T) {
	breaches, err := checkSources(list(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range breaches {
		t.Error(breach)
	}
}

// A checker that cannot fail proves nothing: each rule is shown one breach.
func TestGraphCheckerRefuses(t *testing.T) {
	const internal = "host/internal/"
	cases := []struct {
		name, from, imports, test string
		want                      string
	}{
		{name: "upwards", from: internal + "rows", imports: "host/internal/engine", want: "imports go down"},
		{name: "same floor", from: internal + "engine", imports: "host/internal/fetch", want: "imports go down"},
		{name: "upwards in a test", from: internal + "id", test: "host/internal/rows", want: "in a test"},
		{name: "second importer of the store", from: internal + "rows", imports: "github.com/cockroachdb/pebble/v2/vfs", want: "swapping the store"},
		{name: "second importer of koanf", from: "host", imports: "github.com/knadh/koanf/v2", want: "where a value came from"},
		{name: "go-plugin in a plugin", from: "plugins/blobstore-fs", imports: "github.com/hashicorp/go-plugin", want: "its traps"},
		{name: "sdk to host", from: "sdk/client", imports: "host/internal/id", want: "the sdk knows nothing"},
		{name: "sdk to plugins", from: "sdk/plugin/blobstore", imports: "plugins/blobstore-fs", want: "the sdk knows nothing"},
		{name: "sdk to sdk", from: "sdk/client", imports: "sdk/plugin", want: "nothing of each other"},
		{name: "plugin to host", from: "plugins/blobstore-fs", imports: "host/internal/id", want: "only the sdk"},
		{name: "plugin to plugin", from: "plugins/blobstore-fs", imports: "plugins/discovery-mdns", want: "only the sdk"},
		{name: "generated types in a store", from: internal + "rows", imports: "sdk/api/node/v1", want: "stop at the facades"},
		{name: "logger in an engine", from: internal + "engine", imports: "github.com/hashicorp/go-hclog", want: "not a logger"},
		{name: "library in a core", from: internal + "delta", imports: "github.com/zeebo/blake3", want: "standard library alone"},
		{name: "I/O in a core", from: internal + "delta", imports: "net/http", want: "no I/O"},
		{name: "chance in a store", from: internal + "blobs", imports: "crypto/rand", want: "chance is an input"},
		{name: "testing in production", from: internal + "peer", imports: "testing", want: "outside of tests"},
		{name: "testing in the daemon", from: "host", imports: "testing", want: "outside of tests"},
		{name: "plugins in the daemon", from: "host", imports: "plugins/blobstore-fs", want: "imports go down"},
		{name: "host in a plugin's test", from: "plugins/blobstore-fs", test: "host/hosttest", want: "kit in the sdk"},
		{name: "unknown room", from: internal + "attic", want: "add one line to rooms"},
		{name: "unknown area", from: "pkg/things", want: "add one line to rooms"},
		{name: "name", from: "sdk/client/util", want: "name the idea"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := pkg{ImportPath: module + "/" + c.from, Name: "x", Doc: "Package x.", GoFiles: []string{"x.go"}, Imports: inModule(c.imports), TestImports: inModule(c.test)}
			breaches := checkGraph([]pkg{p})
			if len(breaches) != 1 || !strings.Contains(breaches[0], c.want) {
				t.Errorf("breaches = %q, want one that says %q", breaches, c.want)
			}
		})
	}
}

func TestGraphCheckerAccepts(t *testing.T) {
	for from, imports := range map[string]string{
		"host/internal/rows":             "host/internal/kv",
		"host/internal/engine":           "host/internal/delta",
		"host/internal/engine/initiator": "host/internal/engine/frames",
		"host/internal/chunk":            "github.com/zeebo/blake3",
		"host/internal/kv":               "github.com/cockroachdb/pebble/v2",
		"host/internal/plug":             "sdk/api/plugin/v1",
		"host":                           "host/internal/conf",
		"host/hosttest":                  "testing",
		"host/hosttest/network":          "plugins/blobstore-fs",
		"cmd/syncbase":                   "plugins/blobstore-fs",
		"plugins/blobstore-fs":           "sdk/plugin/blobstore",
		"test/e2e":                       "host/internal/kv",
	} {
		p := pkg{ImportPath: module + "/" + from, Name: "x", Doc: "Package x.", GoFiles: []string{"x.go"}, Imports: inModule(imports)}
		for _, breach := range checkGraph([]pkg{p}) {
			t.Errorf("refused without reason: %s", breach)
		}
	}
}

func TestGraphCheckerWantsComments(t *testing.T) {
	p := pkg{ImportPath: module + "/sdk/client", Name: "client", GoFiles: []string{"x.go"}}
	if got := checkGraph([]pkg{p}); len(got) != 1 || !strings.Contains(got[0], "package comment") {
		t.Errorf("breaches = %q, want one about the package comment", got)
	}
}

// inModule turns paths below the module into import paths.
func inModule(path string) []string {
	switch {
	case path == "":
		return nil
	case strings.Contains(path, ".") || isStandard(path) && !strings.HasPrefix(path, "host") && !strings.HasPrefix(path, "sdk") && !strings.HasPrefix(path, "plugins"):
		return []string{path}
	default:
		return []string{module + "/" + path}
	}
}

func TestSourceCheckerRefuses(t *testing.T) {
	const source = `package x
import clock "time"
func f(time struct{ Now int }) {
	_ = time.Now
	_ = clock.Now()
	go f(time)
}`
	for floor, want := range map[int]int{0: 2, 1: 2, 2: 1} {
		breaches, err := checkSource(floor, "x.go", source)
		if err != nil {
			t.Fatal(err)
		}
		if len(breaches) != want {
			t.Errorf("floor %d: breaches = %q, want %d", floor, breaches, want)
		}
	}
}

// The tables name real rooms, or a rule could be dead without anyone noticing.
func TestTablesAreConsistent(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rooms {
		if known[r.path] {
			t.Errorf("room %s stands there twice", r.path)
		}
		known[r.path] = true
	}
	for _, e := range sideways {
		if !known[e.from] || !known[e.to] || e.why == "" {
			t.Errorf("sideways edge %+v names no room or no reason", e)
		}
	}
	for _, e := range pure {
		if !known[e.from] || e.why == "" {
			t.Errorf("pure edge %+v names no room or no reason", e)
		}
	}
	for _, b := range bans {
		for _, p := range append(b.except, b.to) {
			if !known[p] || b.why == "" {
				t.Errorf("ban on %s names no room or no reason: %s", b.to, p)
			}
		}
	}
}
