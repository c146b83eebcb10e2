package e2e

import (
	"fmt"
	"testing"
	"time"
)

// blobLimit is how long it may take to bring an archive from one daemon to another.
const blobLimit = time.Minute

// putBlob stores a file and returns its reference.
func (d *daemon) putBlob(file string) string {
	d.t.Helper()
	var put struct {
		Ref  string
		Size int64
	}
	d.query(&put, "blob", "put", "places", file)
	return put.Ref
}

// refer writes a row that refers to a blob.
func (d *daemon) refer(key, ref string) {
	d.t.Helper()
	d.run("put", "places", "cities", key, `{"file":{"$blob":"`+ref+`"}}`)
}

// blobState is how much of a blob is here: local, partial or remote; empty when nothing is known of it.
func (d *daemon) blobState(ref string) string {
	d.t.Helper()
	if r := d.try("blob", "stat", "places", ref); r.code == 3 {
		return ""
	}
	var stat struct{ State string }
	d.query(&stat, "blob", "stat", "places", ref)
	return stat.State
}

// holds waits until all of a blob is here.
func (d *daemon) holds(ref string) {
	d.t.Helper()
	until(d.t, d.name+" has all of the blob", blobLimit, func() (bool, string) {
		state := d.blobState(ref)
		return state == "local", fmt.Sprintf("state %q", state)
	})
}

// sameBlob checks that a daemon gives back what is in the file.
func (d *daemon) sameBlob(ref, file string) {
	d.t.Helper()
	out := d.path(d.name + "-copy")
	d.run("blob", "get", "places", ref, "--out", out)
	if want, got := digest(d.t, file), digest(d.t, out); want != got {
		d.t.Errorf("the blob from %s has the digest %s, the file %s", d.name, got, want)
	}
}

// TestServerTakesBlobs puts a large file on one daemon: the other, a server, fetches it because a row refers to it, and
// pays little for a second file that is nearly the same.
func TestServerTakesBlobs(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	b := n.startWith(a, "b")
	join(b, a, "server")
	level(b)

	file := n.archive()
	ref := a.putBlob(file)
	a.refer("toolchain", ref)
	b.holds(ref)
	b.sameBlob(ref, file)

	longer := n.withInsertion(file, 1e6)
	before := b.received()
	second := a.putBlob(longer)
	a.refer("toolchain, longer", second)
	b.holds(second)
	cost := b.received() - before
	t.Logf("1 MB inserted into the middle costs %d bytes on the wire", cost)
	if cost < 1e6 || cost > 5e6 {
		t.Errorf("1 MB inserted into the middle costs %d bytes on the wire, want 1 to 5 MB", cost)
	}
	b.sameBlob(second, longer)
}
