package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fsyncs measures how long the disk takes to make 4 KiB durable: what every durable commit pays at the least.
func fsyncs(dir string, t *table) error {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	page := make([]byte, 4<<10)
	var all durations
	for range 300 {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		all = append(all, time.Since(began))
	}
	all.add(t, "baseline: append 4 KiB and fsync")
	return nil
}

// benchmarks are run by `go test`; each of their figures becomes a line.
var benchmarks = []struct {
	pkg, pattern, time string
}{
	{"./host/internal/kv", "^BenchmarkLoad$", "171x"},
	{"./host/internal/kv", "^BenchmarkGroupCommit$", "20000x"},
	{"./host/internal/kv", "^BenchmarkSketchSync$", "1x"},
	{"./host/internal/blobs", "^BenchmarkPut(Nowhere|Directory)$", "1s"},
	{"./sdk/plugin/blobstore", "^BenchmarkHop$", "1s"},
}

func goBenchmarks(ctx context.Context, t *table) error {
	for _, b := range benchmarks {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", b.pattern, "-benchtime", b.time, "-count", "3", b.pkg)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("benchmarks of %s, from the root of the module: %w\n%s", b.pkg, err, out)
		}
		parse(out, t)
	}
	return nil
}

// parse takes the lines of `go test -bench`: a name, a count, and pairs of value and unit.
func parse(out []byte, t *table) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil || fields[i+1] == "ns/op" && len(fields) > 4 {
				continue // with a rate beside it, the time of one operation says nothing new
			}
			t.add("baseline: "+fields[0], fields[i+1], value)
		}
	}
}
