package conf

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files of this package")

const printed = `
node: {name: nas, data_dir: /var/lib/syncbase, listen: ["0.0.0.0:4001"]}
plugins:
  disk: {kind: blobstore, path: self, required: true}
  photos:
    kind: blobstore
    path: /usr/lib/syncbase/blobstore-s3
    allow_unpinned: true
    args: ["--token=hunter2", "--secret", "hunter2", "--verbose", "hunger"]
    env: {AWS_SECRET_ACCESS_KEY: hunter2, AWS_REGION: eu-west-1, PASSWORD: "${env:X}"}
    config:
      bucket: family
      endpoint: https://me:hunter2@s3.example.org/
      secret_access_key: hunter2
      credentials: {user: hunter2, pins: [1234, hunter2], file: "${file:/run/secret}"}
      key_prefix: photos/
      deep: [{password: hunter2}]
blobs: {store: photos, cache: disk}
discovery: []
`

func TestPrint(t *testing.T) {
	got, err := Print(mustLoad(t, printed, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "print.golden")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("Print (-want +got), -update rewrites it:\n%s", diff)
	}
	if strings.Contains(string(got), "hunter2") || strings.Contains(string(got), "1234") {
		t.Errorf("Print shows a secret:\n%s", got)
	}
}

// What is printed loads again, and prints the same.
func TestPrintRoundTrip(t *testing.T) {
	for _, text := range []string{"", printed} {
		first, err := Print(mustLoad(t, text, Options{}))
		if err != nil {
			t.Fatal(err)
		}
		second, err := Print(mustLoad(t, string(first), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(second)); diff != "" {
			t.Errorf("printed configuration does not survive loading (-first +second):\n%s", diff)
		}
	}
}

func TestPrintLeavesTheConfigAlone(t *testing.T) {
	cfg := mustLoad(t, printed, Options{})
	if _, err := Print(cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(mustLoad(t, printed, Options{}), cfg); diff != "" {
		t.Errorf("Print changed its argument (-want +got):\n%s", diff)
	}
}
