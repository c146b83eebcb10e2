package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	for name, test := range map[string]struct {
		output string
		passed bool
		want   outcome
		detail string
	}{
		"a test fails":     {"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/part (0.1s)\nFAIL\n", false, killed, "TestA"},
		"a panic":          {"panic: no\nFAIL\n", false, killed, "panic"},
		"all pass":         {"ok  \tm\t0.1s\n", true, survived, "no test fails"},
		"does not compile": {"x.go:1:1: no\nFAIL\tm [build failed]\n", false, uncompiled, "the mutant does not compile"},
		"no such package":  {"FAIL\t./m [setup failed]\n", false, uncompiled, "the mutant does not compile"},
		"takes too long":   {"panic: test timed out after 2m0s\nFAIL\n", false, hung, "no test fails in 2m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			if v := judge(test.output, test.passed); v.outcome != test.want || v.detail != test.detail {
				t.Errorf("%s: %s, want %s: %s", v.outcome, v.detail, test.want, test.detail)
			}
		})
	}
}

// small is a module in which one promise is tested and another is not.
func small(t *testing.T, test string) *runner {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":      "module example.test/small\n\ngo 1.26\n",
		"m/m.go":      "package m\n\nfunc Sum(a, b int) int { return a + b }\n\nfunc Twice(n int) int { return 2 * n }\n",
		"m/m_test.go": "package m\n\nimport \"testing\"\n\nfunc TestSum(t *testing.T) {\n\tif " + test + " {\n\t\tt.Error(\"wrong\")\n\t}\n}\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &runner{root: dir, out: &bytes.Buffer{}}
}

var smallMutants = []mutant{
	{name: "noticed", file: "m/m.go", old: "a + b", new: "a - b", breaks: "sums", tests: "m", run: "TestSum"},
	{name: "unnoticed", file: "m/m.go", old: "2 * n", new: "3 * n", breaks: "doubles", tests: "m"},
	{name: "elsewhere", file: "m/m.go", old: "a * b", new: "a / b", breaks: "products", tests: "m"},
}

// Only a mutant that a test notices counts as killed, and the sources are as they were.
func TestRunnerTellsWhatSurvives(t *testing.T) {
	r := small(t, "Sum(2, 1) != 3")
	err := r.all(t.Context(), smallMutants, 2)
	if err == nil || !strings.Contains(err.Error(), "2 of 3 mutants were not killed") {
		t.Errorf("the end is %v", err)
	}
	said := r.out.(*bytes.Buffer).String()
	for name, want := range map[string]outcome{"noticed": killed, "unnoticed": survived, "elsewhere": faulty} {
		if !strings.Contains(said, fmt.Sprintf("%-12s %s ", want, name)) {
			t.Errorf("%s is not reported as %s:\n%s", name, want, said)
		}
	}
	src, err := os.ReadFile(filepath.Join(r.root, "m/m.go"))
	if err != nil || !strings.Contains(string(src), "a + b") {
		t.Errorf("the source is now %s, %v", src, err)
	}
}

// What fails anyway proves nothing about a mutant.
func TestTestsHaveToPassWithoutMutants(t *testing.T) {
	r := small(t, "Sum(2, 1) != 4")
	if err := r.all(t.Context(), smallMutants[:1], 1); err == nil || !strings.Contains(err.Error(), "without any mutant") {
		t.Errorf("the end is %v", err)
	}
}
