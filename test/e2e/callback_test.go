package e2e

import "testing"

// TestDeviceThatListensNowhere lets a device that only dials share: what it writes reaches a hub, which fetches a
// blob from it, and over the hub another such device.
func TestDeviceThatListensNowhere(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	n.config = n.file("deaf.yaml", isolatedConfig+"node: {listen: []}\n")
	var phones []*daemon
	for _, name := range []string{"b", "c"} {
		d := n.newDaemon(name)
		identity := n.path(name + "-identity")
		n.syncbase("identity", "issue", name, "--data", a.data, "--out", identity).must(t)
		d.args = append(d.args, "--identity", identity)
		d.serve("")
		if at := d.address(); at != "" {
			t.Fatalf("%s listens at %s", name, at)
		}
		join(d, a, "normal")
		phones = append(phones, d)
	}
	b, c := phones[0], phones[1]
	level(b, c)
	file := n.file("note.txt", "written on a phone")
	ref := b.putBlob(file)
	b.refer("key", ref)
	for _, d := range []*daemon{a, c} {
		d.gets("key")
	}
	a.run("blob", "fetch", "places", ref)
	a.sameBlob(ref, file)
	a.stop()
	b.run("put", "places", "cities", "later", "1")
	a.serve(loopback)
	// The others remember another port: the hub tells nobody of the new one but by being dialled.
	for _, d := range phones {
		d.stop()
		d.env = append(d.env, "SYNCBASE_NODE__PEERS="+a.address())
		d.serve("")
	}
	c.gets("later")
}
