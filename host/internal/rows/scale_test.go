package rows

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// scale is how many rows BenchmarkScale works among: go test -bench Scale ./host/internal/rows -args -scale 10000000
var scale = flag.Int("scale", benchRows, "rows of BenchmarkScale")

// BenchmarkScale is what the other pairs measure, among as many rows as -scale says: single rows at random, scans of 100,000
// rows from somewhere, batches of 1,000 new rows. Its ratios are to be those of a small store.
func BenchmarkScale(b *testing.B) {
	n := *scale
	store, db := openBench(b)
	began := time.Now()
	fill(b, 0, n, func(i, j int) { putRows(b, db, i, j) })
	b.Logf("%d rows written in %v, %.0f MiB resident at most", n, time.Since(began).Round(time.Second), residentMiB(b, "VmHWM"))
	fill(b, 0, n, func(i, j int) { putBare(b, store, i, j) })
	settle(b, store)
	most := min(n, 100_000)
	next := map[string]int{"rows": n, "bare": n}
	for _, part := range []struct {
		name       string
		rows, bare func() int
	}{
		{"Get", func() int {
			if _, err := db.Get(notes, benchKey(rand.IntN(n))); err != nil {
				b.Fatal(err)
			}
			return 1
		}, func() int {
			if _, err := store.Get([]byte("\xf0" + benchKey(rand.IntN(n)))); err != nil {
				b.Fatal(err)
			}
			return 1
		}},
		{"Scan", func() int {
			seen := 0
			err := db.Scan(notes, ScanRange{Start: benchKey(rand.IntN(n - most + 1))}, func(*RowView) (bool, error) {
				seen++
				return seen < most, nil
			})
			if err != nil || seen != most {
				b.Fatal(seen, err)
			}
			return seen
		}, func() int {
			it, err := store.Iter([]byte("\xf0"+benchKey(rand.IntN(n-most+1))), []byte{0xf1})
			if err != nil {
				b.Fatal(err)
			}
			seen := 0
			for ok := it.First(); ok && seen < most; ok = it.Next() {
				seen += len(it.Value()) / benchValueLen
			}
			if err := it.Close(); err != nil || seen != most {
				b.Fatal(seen, err)
			}
			return seen
		}},
		{"BatchPut", func() int {
			putRows(b, db, next["rows"], next["rows"]+1000)
			next["rows"] += 1000
			return 1000
		}, func() int {
			putBare(b, store, next["bare"], next["bare"]+1000)
			next["bare"] += 1000
			return 1000
		}},
	} {
		// In turns, so that both halves of a pair meet the same caches and the same neighbours.
		for range 3 {
			for name, do := range map[string]func() int{"rows": part.rows, "bare": part.bare} {
				b.Run(part.name+"/"+name, func(b *testing.B) {
					defer metered(b)()
					rows := 0
					for b.Loop() {
						rows += do()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
					b.ReportMetric(residentMiB(b, "VmRSS"), "MiB-resident")
				})
			}
		}
	}
	b.Logf("%.0f MiB resident at most", residentMiB(b, "VmHWM"))
}

// settle waits until compactions have left the size of the store alone for two seconds.
func settle(b *testing.B, store *kv.Store) {
	b.Helper()
	for last, same := uint64(0), 0; same < 20; {
		size, err := store.DiskBytes([]byte{0}, []byte{0xff})
		if err != nil {
			b.Fatal(err)
		}
		if same++; size != last {
			last, same = size, 0
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// residentMiB reads a field of the process's memory, 0 where there is no such thing.
func residentMiB(b *testing.B, field string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, field+":"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	return 0
}
