package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A mutant is one deliberate fault.
type mutant struct {
	name string
	file string // below the root of the module
	// old occurs exactly once in the file; new takes its place.
	old, new string
	// breaks says what is wrong then.
	breaks string
	// tests is the package, below the module, whose tests have to notice, and run the pattern of those that do, where all of
	// them would take long.
	tests, run string
}

// mutate returns the file's text with the fault in it.
func (m *mutant) mutate(src string) (string, error) {
	switch n := strings.Count(src, m.old); {
	case m.old == "" || m.old == m.new:
		return "", errors.New("the mutant changes nothing")
	case n != 1:
		return "", fmt.Errorf("the text to replace occurs %d times in %s, want once: %q", n, m.file, m.old)
	}
	return strings.Replace(src, m.old, m.new, 1), nil
}

// outcome is what came of trying a mutant.
type outcome string

const (
	killed outcome = "killed"
	// survived: the tests pass as if nothing was wrong.
	survived outcome = "SURVIVED"
	// uncompiled: nothing was tested.
	uncompiled outcome = "NO BUILD"
	// hung: the tests took too long, which may as well be the machine's fault.
	hung outcome = "TIMED OUT"
	// faulty: it could not be tried.
	faulty outcome = "FAULT"
)

type verdict struct {
	outcome outcome
	// detail names the tests that failed, or says what else happened.
	detail string
	output string
}

// limit is how long the tests of one mutant may take.
const limit = "2m0s"

// try runs the tests that have to notice the mutant.
func (r *runner) try(ctx context.Context, m *mutant) (verdict, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return verdict{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(dir, m)
	if err != nil {
		return verdict{}, err
	}
	output, passed, err := r.test(ctx, "-overlay="+overlay, "-count=1", "-failfast", "-timeout="+limit, "-run="+m.run, "./"+m.tests)
	if err != nil {
		return verdict{}, err
	}
	return judge(output, passed), nil
}

// overlay writes the mutated file and what tells the go command to read it in place of the original.
func (r *runner) overlay(dir string, m *mutant) (string, error) {
	original := filepath.Join(r.root, filepath.FromSlash(m.file))
	src, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	text, err := m.mutate(string(src))
	if err != nil {
		return "", err
	}
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(mutated, []byte(text), 0o600), os.WriteFile(overlay, data, 0o600))
}

// test runs go test in the module and returns what it says. An error means that it did not come to an end.
func (r *runner) test(ctx context.Context, args ...string) (output string, passed bool, err error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-vet=off"}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.root, &out, &out
	// A failure here is nothing to keep, nor to make small.
	cmd.Env = append(cmd.Environ(), "RAPID_NOFAILFILE=true", "RAPID_SHRINKTIME=0s")
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	return out.String(), exit == nil, err
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

func judge(output string, passed bool) verdict {
	v := verdict{outcome: killed, output: output}
	names := failedTest.FindAllStringSubmatch(output, -1)
	switch {
	case passed:
		v.outcome, v.detail = survived, "no test fails"
	case strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]"):
		v.outcome, v.detail = uncompiled, "the mutant does not compile"
	case strings.Contains(output, "panic: test timed out after "+limit):
		v.outcome, v.detail = hung, "no test fails in "+limit
	case len(names) > 0:
		v.detail = names[0][1]
	default:
		v.detail = "panic"
	}
	return v
}

// control runs the same tests without any mutant: what fails anyway proves nothing.
func (r *runner) control(ctx context.Context, list []mutant) error {
	runs := map[string][]string{}
	var packages []string
	for _, m := range list {
		if !slices.Contains(packages, m.tests) {
			packages = append(packages, m.tests)
		}
		runs[m.tests] = append(runs[m.tests], m.run)
	}
	slices.Sort(packages)
	for _, p := range packages {
		run := strings.Join(runs[p], "|") // of no pattern in it: matches all
		output, passed, err := r.test(ctx, "-run="+run, "./"+p)
		if err != nil {
			return err
		}
		if !passed {
			return fmt.Errorf("tests of %s fail without any mutant:\n%s", p, output)
		}
	}
	return nil
}
