package e2e

import (
	"os"
	"strings"
	"testing"
)

// TestMovedDataDirectory moves the data directory of a daemon away while it runs: that is what backup, doctor and status tell, and
// not that the store is damaged. With the directory back nothing is amiss.
func TestMovedDataDirectory(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	a.run("put", "places", "cities", "kept", "1")
	away := n.path("away")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(a.data, away)
	at := []string{"--address", "unix://" + away + "/syncbase.sock"}
	const what = "was moved away or removed while the daemon runs"
	for _, command := range [][]string{{"backup", n.path("copy")}, {"doctor"}} {
		r := n.syncbase(append(command, at...)...)
		if r.code != 1 || !strings.Contains(r.stderr, a.data+" "+what) || strings.Contains(r.stderr, "repair") {
			t.Errorf("it should say that the directory is gone: %s", r)
		}
	}
	// Another directory in its place is not it.
	if err := os.MkdirAll(a.data+"/store", 0o700); err != nil {
		t.Fatal(err)
	}
	if out := n.syncbase(append([]string{"status"}, at...)...).must(t); !strings.Contains(out, what) {
		t.Errorf("status has no alarm:\n%s", out)
	}
	if err := os.RemoveAll(a.data); err != nil {
		t.Fatal(err)
	}
	move(away, a.data)
	if out := a.run("status"); strings.Contains(out, what) {
		t.Errorf("the alarm stays:\n%s", out)
	}
	a.run("backup", n.path("copy"))
	a.gets("kept")
}
