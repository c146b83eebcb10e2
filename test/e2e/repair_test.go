package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repaired rows are those of a store that is damaged and made anew.
const repairedRows = 12_000

// damage writes something else into the middle of all large tables of the store, which nobody has open: rows go, and their
// records in the log, but not what they belong to.
func (d *daemon) damage() {
	d.t.Helper()
	d.run("doctor", "--repair") // it is opened once, and what was in its log lies in tables
	names, err := filepath.Glob(filepath.Join(d.data, "store", "*.sst"))
	if err != nil {
		d.t.Fatal(err)
	}
	damaged := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			d.t.Fatal(err)
		}
		if len(text) < 256<<10 {
			continue
		}
		damaged++
		clear(text[len(text)/3 : len(text)*2/3])
		if err := os.WriteFile(name, text, 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	if damaged == 0 {
		d.t.Fatalf("none of %d tables is large", len(names))
	}
}

// repairUntil makes the store anew, and kills the program as soon as it says that it has come to a step. It reports whether it
// came to its end in place of that.
func (d *daemon) repairUntil(step string) (complete bool) {
	d.t.Helper()
	cmd := exec.Command(binary, "doctor", "--repair", "--accept-loss", "--data", d.data)
	cmd.Env, cmd.Dir = d.environment(), d.dir
	said, err := cmd.StderrPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	var all []string
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if all = append(all, lines.Text()); strings.HasPrefix(lines.Text(), "syncbase: "+step) {
			_ = cmd.Process.Kill()
		}
	}
	switch err := cmd.Wait(); {
	case err == nil:
		return true
	case cmd.ProcessState.Exited():
		d.t.Fatalf("doctor ended with %v:\n%s", err, strings.Join(all, "\n"))
	}
	return false
}

// TestKilledWhileRepairing kills a repair that makes a store anew at each of its steps, and lets it begin again. In the end the
// store is sound, and has what it has after a repair that nobody disturbed.
func TestKilledWhileRepairing(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	importCities(a, n.manyRows(repairedRows), repairedRows)
	a.stop()
	a.damage()
	copyDir(t, a.data, n.path("undisturbed"))
	copyDir(t, a.data, n.path("damaged"))
	undisturbed := n.newDaemon("undisturbed")
	undisturbed.run("doctor", "--repair", "--accept-loss")

	for _, step := range []string{
		"reading the files", "saving what can be read", "repairing, and checking again", "checking references to blobs", "saving what can be read",
	} {
		for again := 0; a.repairUntil(step); again++ {
			if again == 20 {
				t.Fatalf("no repair was killed at %q before it had come to its end", step)
			}
			if err := os.RemoveAll(a.data); err != nil {
				t.Fatal(err)
			}
			copyDir(t, n.path("damaged"), a.data)
		}
	}
	a.run("doctor", "--repair", "--accept-loss")
	a.run("doctor", "--offline")

	a.serve(loopback)
	undisturbed.serve(loopback)
	if rows := strings.Count(sameRows(undisturbed, a), "\n"); rows == 0 {
		t.Error("nothing could be read")
	}
	a.run("put", "places", "cities", "after", "1")
	a.gets("after")
}

// TestPeerGivesBackWhatWasLost loses rows and what is known of them, makes the store anew of the rest, and has everything again once
// it has compared with a peer.
func TestPeerGivesBackWhatWasLost(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	importCities(a, n.manyRows(repairedRows), repairedRows)
	b := n.startWith(a, "b")
	join(b, a, "normal")
	level(b)
	atA, atB := a.address(), b.address()
	a.stop()
	b.stop()
	a.damage()
	a.run("doctor", "--repair", "--accept-loss")

	a.serve(atA)
	left := a.run("export", "places", "cities")
	lost := ""
	for i := range repairedRows {
		if key := fmt.Sprintf("row/%07d", i); !strings.Contains(left, key) {
			lost = key
		}
	}
	if lost == "" {
		t.Fatal("nothing was lost")
	}
	watch := n.watch(a, "places")
	b.serve(atB)
	until(t, "a hears of "+lost+" again", 5*time.Minute, func() (bool, string) {
		text, err := os.ReadFile(watch.file)
		return err == nil && strings.Contains(string(text), lost), fmt.Sprintf("%d bytes, %v", len(text), err)
	})
	watch.interrupt()
	until(t, "a has its rows again", patience, func() (bool, string) {
		now := strings.Count(a.run("scan", "places", "cities", "--keys-only"), "\n")
		return now >= repairedRows, fmt.Sprintf("%d of %d rows", now, repairedRows)
	})
	sameRows(b, a)
	a.run("put", "places", "cities", "after", "1")
	b.gets("after")
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
