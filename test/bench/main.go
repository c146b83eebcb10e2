package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options of a run.
type options struct {
	runs    int
	puts    int
	rows    int
	blobMiB int
	data    string
	dir     string
	binary  string
	micro   bool
	idle    time.Duration
	// cuts are how often the initial sync is cut, edits and pairs what the churn does.
	cuts, edits, pairs int
	// large is how many values of the largest size are put, three times.
	large int
	// only names the measurements to take, all of them if empty.
	only only
}

func main() {
	var opts options
	flag.IntVar(&opts.runs, "runs", 3, "how often each measurement is repeated; the table shows medians")
	flag.IntVar(&opts.puts, "puts", 500, "puts of the latency measurement")
	flag.IntVar(&opts.rows, "rows", 171_075, "rows to make when there is no -data")
	flag.IntVar(&opts.blobMiB, "blob", 256, "size of the blob in MiB")
	flag.StringVar(&opts.data, "data", "", "rows to import, as JSON lines, .gz or not; default: made-up rows of about 110 bytes")
	flag.StringVar(&opts.dir, "dir", os.TempDir(), "where the daemons keep their data during the run")
	flag.StringVar(&opts.binary, "binary", "", "the program to measure; default: built from this module")
	flag.BoolVar(&opts.micro, "baselines", true, "also run the Go benchmarks that the figures are compared with")
	flag.DurationVar(&opts.idle, "idle", 2*time.Minute, "how long a pair is watched that has nothing to do")
	flag.IntVar(&opts.cuts, "cuts", 10, "how often the connection is cut during an initial sync")
	flag.IntVar(&opts.edits, "edits", 100_000, "edits of one row while all members are connected")
	flag.IntVar(&opts.pairs, "pairs", 1_000_000, "rows created and deleted while all members are connected")
	flag.IntVar(&opts.large, "large", 100, "values of the largest size that are put, three times")
	flag.Func("only", "take only these measurements, as a list with commas: "+strings.Join(names(), ", ")+"; without it, all before "+stages[0].name, opts.only.parse)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures opts.runs times with fresh daemons and prints the medians.
func run(ctx context.Context, opts options) error {
	dir, err := os.MkdirTemp(opts.dir, "sbbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if opts.binary == "" {
		opts.binary = filepath.Join(dir, "syncbase")
		if err := command(ctx, "go", "build", "-o", opts.binary, "github.com/syncbase/syncbase/cmd/syncbase"); err != nil {
			return err
		}
	}
	if opts.data == "" && opts.only.pair() {
		opts.data = filepath.Join(dir, "rows.jsonl")
		if err := makeRows(opts.data, opts.rows); err != nil {
			return err
		}
	}
	var t table
	for i := range opts.runs {
		fmt.Fprintf(os.Stderr, "%s run %d of %d\n", time.Now().Format(time.TimeOnly), i+1, opts.runs)
		if err := once(ctx, opts, filepath.Join(dir, fmt.Sprint("r", i)), &t); err != nil {
			return err
		}
	}
	if opts.micro {
		if err := goBenchmarks(ctx, &t); err != nil {
			return err
		}
	}
	fmt.Printf("%s %s/%s, %d processors, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	return t.print(os.Stdout)
}

// once takes every measurement that was chosen, with fresh daemons.
func once(ctx context.Context, opts options, dir string, t *table) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := fsyncs(dir, t); err != nil {
		return err
	}
	if opts.only.pair() {
		if err := oncePair(ctx, opts, dir, t); err != nil {
			return err
		}
	}
	for _, s := range stages {
		if !slices.Contains(opts.only, s.name) {
			continue
		}
		own := filepath.Join(dir, s.name)
		if err := errors.Join(s.take(ctx, opts, own, t), os.RemoveAll(own)); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// oncePair takes the measurements that share a pair of daemons.
func oncePair(ctx context.Context, opts options, dir string, t *table) error {
	a, err := start(ctx, opts.binary, filepath.Join(dir, "a"), "a")
	if err != nil {
		return err
	}
	defer a.stop()
	if err := a.issue(ctx, "b", filepath.Join(dir, "b", "identity")); err != nil {
		return err
	}
	b, err := start(ctx, opts.binary, filepath.Join(dir, "b"), "b")
	if err != nil {
		return err
	}
	defer b.stop()
	if err := measureRows(ctx, opts, a, b, t); err != nil {
		return err
	}
	if opts.only.has("blobs") {
		if err := measureBlobs(ctx, opts, dir, a, b, t); err != nil {
			return err
		}
	}
	return t.memory(a, b)
}

// command runs a program and returns what it printed when it fails.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w\n%s", name, args, err, out)
	}
	return nil
}
