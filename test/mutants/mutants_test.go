package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const module = "../.."

// Each mutant is still about a line that is there, and names tests that are.
func TestEachMutantApplies(t *testing.T) {
	seen := map[string]bool{}
	list := every()
	for i := range list {
		m := &list[i]
		t.Run(m.name, func(t *testing.T) {
			if seen[m.name] || m.name == "" || m.breaks == "" {
				t.Error("want a name of its own, and what the mutant breaks")
			}
			seen[m.name] = true
			src, err := os.ReadFile(filepath.Join(module, m.file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.mutate(string(src)); err != nil {
				t.Error(err)
			}
			if !hasTest(t, m) {
				t.Errorf("no test of %s matches %q", m.tests, m.run)
			}
		})
	}
}

var declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

func hasTest(t *testing.T, m *mutant) bool {
	t.Helper()
	pattern, err := regexp.Compile(m.run)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(module, m.tests, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range declared.FindAllStringSubmatch(string(src), -1) {
			if pattern.MatchString(f[1]) {
				return true
			}
		}
	}
	return false
}
