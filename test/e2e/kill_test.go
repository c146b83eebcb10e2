package e2e

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

const (
	// stepBytes is the most that a pull may have received and not yet stored; packBytes the same for a fetch.
	stepBytes = 4 << 20
	packBytes = 8 << 20
)

// manyRows writes a file of rows to import.
func (n *network) manyRows(count int) string {
	n.t.Helper()
	path := n.path("rows.jsonl")
	f, err := os.Create(path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := range count {
		fmt.Fprintf(w, `{"key":"row/%07d","value":{"n":%d,"text":"%032x%032x"}}`+"\n", i, i, i*7919, i*104729)
	}
	if err := w.Flush(); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// receiving returns when the daemon has received so many bytes and goes on doing so, and tells how many it has. However
// slow the command line is, little happens in the meantime: the other daemon is let run only between the looks.
func (d *daemon) receiving(from *daemon, enough int64) (got int64) {
	d.t.Helper()
	until(d.t, fmt.Sprintf("%s has received %d bytes", d.name, enough), blobLimit, func() (bool, string) {
		from.signal(syscall.SIGSTOP)
		got = d.received()
		from.signal(syscall.SIGCONT)
		return got >= enough, fmt.Sprintf("%d bytes", got)
	})
	return got
}

// revive kills the daemon, lets look see what it has left while the other one cannot help it, and brings them together
// again: the other knows the address where the daemon was, and finds it there again.
func (d *daemon) revive(address string, other *daemon, look func()) {
	d.t.Helper()
	d.kill()
	d.noPlugins()
	other.signal(syscall.SIGSTOP)
	d.serve(address)
	look()
	other.signal(syscall.SIGCONT)
}

// TestKilledInTheMiddleOfRows kills a newcomer with SIGKILL while rows arrive. What it has stored by then is not sent again.
func TestKilledInTheMiddleOfRows(t *testing.T) {
	const count = 150_000
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	importCities(a, n.manyRows(count), count)

	// What it costs when nothing happens.
	undisturbed := n.startWith(a, "undisturbed")
	join(undisturbed, a, "normal")
	level(undisturbed)
	full := undisturbed.received()
	undisturbed.stop()

	b := n.startWith(a, "b")
	address := b.address()
	join(b, a, "normal")
	b.receiving(a, full*2/5)
	stored := 0
	b.revive(address, a, func() {
		stored = strings.Count(b.run("scan", "places", "cities", "--keys-only", "-o", "json"), "\n")
	})
	if stored == 0 || stored >= count {
		t.Fatalf("%d of %d rows are stored after the kill: it did not come in the middle", stored, count)
	}
	level(b)
	sameRows(a, b)
	rest := full * int64(count-stored) / count
	again := b.received()
	t.Logf("%d of %d rows were stored; then %d bytes were received, of %d in all", stored, count, again, full)
	if limit := rest + stepBytes; again > limit {
		t.Errorf("%d bytes were received after the kill, want at most %d: %d of %d rows were stored", again, limit, stored, count)
	}
}

// TestKilledInTheMiddleOfABlob kills a server with SIGKILL while it fetches. What it has stored by then is not sent again.
func TestKilledInTheMiddleOfABlob(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	b := n.startWith(a, "b")
	join(b, a, "server")
	level(b)

	file := n.archive()
	facts, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	full := facts.Size()
	address, ref := b.address(), a.putBlob(file)
	a.refer("toolchain", ref)
	before := b.receiving(a, full*2/5)
	b.revive(address, a, func() {
		if state := b.blobState(ref); state != "partial" {
			t.Fatalf("the blob is %q after the kill: it did not come in the middle", state)
		}
	})
	b.holds(ref)
	b.sameBlob(ref, file)
	again := b.received()
	t.Logf("%d of %d bytes were received before the kill, %d after", before, full, again)
	if limit := full + full/20 - before + packBytes + stepBytes; again > limit {
		t.Errorf("%d bytes were received after the kill and %d before, want at most %d", again, before, limit)
	}
}
