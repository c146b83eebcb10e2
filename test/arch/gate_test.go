package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// run returns what a command prints that is run in the root of the module.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "../.."
	// This test may itself run under make, whose flags are not for the one below.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "GO=") })
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

var fuzzTarget = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)

// tested are the packages that have tests in one process, and the fuzz targets of all, as "directory name".
func tested(t *testing.T) (pkgs, targets []string) {
	t.Helper()
	const form = `{{.ImportPath}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}`
	for line := range strings.Lines(run(t, "go", "list", "-f", form, module+"/...")) {
		fields := strings.Fields(line)
		path, files := fields[0], fields[1:]
		dir := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if len(files) > 0 && !strings.HasPrefix(dir, "test/") {
			pkgs = append(pkgs, path)
		}
		for _, file := range files {
			src, err := os.ReadFile(filepath.Join("../..", dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range fuzzTarget.FindAllStringSubmatch(string(src), -1) {
				targets = append(targets, dir+" "+m[1])
			}
		}
	}
	return pkgs, targets
}

// reference: store-308 the gate runs the tests of every package under the race detector and every fuzz target, among them those of
// patterns, names, access lists and the keys of the disk; one that it leaves out is found here.
func TestGateRacesAndFuzzesEverything(t *testing.T) {
	pkgs, targets := tested(t)
	script, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"step make race\n", `step make fuzz FUZZTIME="$fuzz_time"` + "\n"} {
		if !strings.Contains(string(script), "\n"+step) {
			t.Errorf(".ci/run has no %q", step)
		}
	}
	if !strings.Contains(string(script), "set -euo pipefail\n") {
		t.Error(".ci/run goes on after a step that failed")
	}

	// Those with bubbles are named by their directories.
	raced := map[string]bool{}
	for line := range strings.Lines(run(t, "make", "--no-print-directory", "-n", "race")) {
		if !strings.Contains(line, "go test -race -short ") {
			t.Errorf("make race runs %q", line)
		}
		for _, field := range strings.Fields(line) {
			raced[strings.Replace(field, "./", module+"/", 1)] = true
		}
	}
	for _, path := range pkgs {
		if !raced[path] {
			t.Errorf("make race leaves out %s", path)
		}
	}

	fuzzed := run(t, "make", "--no-print-directory", "fuzz", "GO=echo", "FUZZTIME=7x")
	for _, target := range targets {
		dir, name, _ := strings.Cut(target, " ")
		if want := "test -run ^$ -fuzz ^" + name + "$ -fuzztime 7x ./" + dir + "\n"; !strings.Contains(fuzzed, want) {
			t.Errorf("make fuzz leaves out %s", target)
		}
	}
	for _, want := range []string{
		"host/internal/id FuzzParseName", "host/internal/like FuzzMatch", "host/internal/perm FuzzParse", "host/internal/rows FuzzKeys",
		"host/internal/wire FuzzDecodeCommit",
	} {
		if !slices.Contains(targets, want) {
			t.Errorf("there is no target %s", want)
		}
	}
}
