// Command mutants tests the tests of the delta engine: it breaks the engine, and what belongs to it, in one line at a time, in some hundred ways, and demands that tests fail each time.
//
// A mutant that survives shows a promise that no test holds: write that test, rather than drop the mutant. One that cannot
// be told from the original by anybody is to be replaced by one that can. The mutants stand in the files table*.go with the tests that
// have to notice; those tests have to pass without any mutant, which is checked first. The source is never touched: the go
// command is given a changed copy of one file by -overlay.
//
// The program ends with status 1 unless every mutant was killed. That each still applies is an ordinary test of this
// package, so the table cannot go stale unnoticed. It must not know what the engine does.
//
// Read first: mutant, then runner.try.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

func main() {
	root := flag.String("root", ".", "directory of the module")
	only := flag.String("run", "", "try only mutants whose names match this regular expression")
	parallel := flag.Int("parallel", 1, "how many to try at a time")
	verbose := flag.Bool("v", false, "print what the tests of each mutant say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pattern, err := regexp.Compile(*only)
	if err == nil {
		*root, err = filepath.Abs(*root)
	}
	if err == nil {
		r := runner{root: *root, out: os.Stdout, verbose: *verbose}
		err = r.all(ctx, matching(every(), pattern), *parallel)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// every returns the mutants of all tables.
func every() []mutant { return slices.Concat(mutants, ofRows, ofPulls, ofEdges) }

func matching(list []mutant, pattern *regexp.Regexp) []mutant {
	var some []mutant
	for _, m := range list {
		if pattern.MatchString(m.name) {
			some = append(some, m)
		}
	}
	return some
}

// runner tries mutants of the module at root.
type runner struct {
	root    string
	verbose bool

	// mu guards out, to which whole reports go.
	mu  sync.Mutex
	out io.Writer
}

// all tries the mutants, some at a time, and fails unless each was killed.
func (r *runner) all(ctx context.Context, list []mutant, parallel int) error {
	if err := r.control(ctx, list); err != nil {
		return err
	}
	// todo hands the mutants to the workers; it is filled and closed at once.
	todo := make(chan *mutant, len(list))
	for i := range list {
		todo <- &list[i]
	}
	close(todo)
	var workers sync.WaitGroup
	counts := map[outcome]int{} // guarded by mu
	for range max(1, parallel) {
		workers.Go(func() {
			for m := range todo {
				if ctx.Err() != nil {
					return
				}
				began := time.Now()
				v, err := r.try(ctx, m)
				if err != nil {
					v = verdict{outcome: faulty, detail: err.Error()}
				}
				r.mu.Lock()
				counts[v.outcome]++
				r.report(m, v, time.Since(began))
				r.mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "%d mutants, %d killed\n", len(list), counts[killed])
	if left := len(list) - counts[killed]; left > 0 {
		return fmt.Errorf("%d of %d mutants were not killed, see above", left, len(list))
	}
	return nil
}

// report is called with mu held.
func (r *runner) report(m *mutant, v verdict, took time.Duration) {
	fmt.Fprintf(r.out, "%-12s %-28s %5.1fs  %s\n", v.outcome, m.name, took.Seconds(), v.detail)
	if v.outcome != killed {
		fmt.Fprintf(r.out, "  %s: %s\n  - %s\n  + %s\n", m.file, m.breaks, m.old, m.new)
	}
	if r.verbose || v.outcome == uncompiled {
		fmt.Fprintln(r.out, v.output)
	}
}
