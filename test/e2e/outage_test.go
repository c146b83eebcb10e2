package e2e

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// blobStore returns the process of the blob store plugin, how often it was restarted, and whether it is ready.
func (d *daemon) blobStore() (pid, restarts int, state string) {
	d.t.Helper()
	for _, p := range d.status().Plugins {
		if p.Kind == "blobstore" {
			return p.PID, p.Restarts, p.State
		}
	}
	d.t.Fatalf("%s has no blob store", d.name)
	return 0, 0, ""
}

// gets waits until a row is there.
func (d *daemon) gets(key string) {
	d.t.Helper()
	until(d.t, d.name+" has the row "+key, patience, func() (bool, string) {
		r := d.try("get", "places", "cities", key)
		return r.code == 0, r.stderr
	})
}

// TestBlobStoreKilledWhilePutting kills the blob store's process with SIGKILL in the middle of a put.
func TestBlobStoreKilledWhilePutting(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	b := n.startWith(a, "b")
	join(b, a, "server")
	level(b)
	file := n.archive()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	in, out := io.Pipe()
	put := make(chan result, 1)
	go func() {
		put <- a.feed(in, "blob", "put", "places", "-", "--data", a.data)
		_ = in.Close() // nobody reads the rest of what failed
	}()
	half := len(text) / 2
	if _, err := out.Write(text[:half]); err != nil {
		t.Fatalf("the put ended before the kill: %v: %s", err, <-put)
	}
	pid, _, _ := a.blobStore()
	if err := (process{pid: pid}).kill(); err != nil {
		t.Fatal(err)
	}
	a.run("put", "places", "cities", "in the meantime", "1")
	b.gets("in the meantime")
	_, _ = io.Copy(out, bytes.NewReader(text[half:])) // the put may have failed
	_ = out.Close()

	if r := <-put; r.code == 0 {
		t.Log("the put succeeded in spite of the kill")
	} else {
		t.Log("the put failed:", r.stderr)
		r.refused(t, 1)
	}
	until(t, "the blob store is ready again", patience, func() (bool, string) {
		now, restarts, state := a.blobStore()
		return restarts > 0 && state == "ready" && now != pid, state
	})
	ref := a.putBlob(file)
	a.sameBlob(ref, file)
	a.refer("toolchain", ref)
	b.holds(ref)
	b.sameBlob(ref, file)
}
