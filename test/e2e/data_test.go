package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"testing"
)

// allCities is the number of rows in the full file of places, sampleCities that in the sample.
const (
	allCities    = 171075
	sampleCities = 398
)

// cities returns the file of places to import, the keys of its first rows and the number of rows: the full file where
// there is one, beside the repository, and else the sample of it that is part of the tests.
func cities(t *testing.T) (file string, keys []string, rows int) {
	t.Helper()
	want := allCities
	file = repository(t, "..", "shared", "data", "cities.jsonl.gz")
	if _, err := os.Stat(file); err != nil {
		want = sampleCities
		file = repository(t, "test", "e2e", "testdata", "cities-sample.jsonl.gz")
		t.Logf("the full file of places is not here, the sample of it is used: %v", err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(plain); lines.Scan(); rows++ {
		if rows >= 300 {
			continue
		}
		var row struct{ Key string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		keys = append(keys, row.Key)
	}
	if rows != want {
		t.Fatalf("%s has %d rows, want %d", file, rows, want)
	}
	return file, keys, rows
}
