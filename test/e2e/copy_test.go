package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestCopiedDataDirectory goes on with a copy of a data directory, and after that with the original as well: each writes as
// somebody else, nothing that was acknowledged is lost, and when the two meet they say so.
func TestCopiedDataDirectory(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	a.run("put", "places", "cities", "before", `"both have it"`)
	b := n.startWith(a, "b")
	join(b, a, "normal")
	level(b)
	writer := a.writer()

	a.stop()
	if out, err := exec.Command("cp", "-r", a.data, n.path("copy")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.serve(loopback)
	if now := a.writer(); now != writer {
		t.Errorf("in its own place the device is %s after a restart, and was %s", now, writer)
	}
	a.run("put", "places", "cities", "original", `1`)
	a.run("put", "places", "cities", "both", `"original"`)
	level(a, b)
	a.stop()

	c := n.newDaemon("copy")
	c.env = a.env
	c.serve(loopback)
	if now := c.writer(); now == writer {
		t.Errorf("the copy writes as %s, like the original", now)
	}
	c.run("put", "places", "cities", "copy", `1`)
	c.run("put", "places", "cities", "both", `"copy"`)
	c.run("syncgroup", "join", "places", "all", "--peer", b.address())
	level(c, b)
	want := sameRows(b, c)
	for _, key := range []string{"before", "original", "copy", "both"} {
		if !strings.Contains(want, `"key":"`+key+`"`) {
			t.Errorf("row %s is lost; there is %s", key, want)
		}
	}

	a.serve(loopback)
	level(a, b)
	sameRows(a, b)
	// An address that somebody answers at with one's own keys is no peer, and the attempt says why.
	a.try("syncgroup", "join", "places", "all", "--peer", c.address()).refused(t, 1, "keys")
	until(t, "the copies notice each other", patience, func() (bool, string) {
		for _, d := range []*daemon{a, c} {
			if !strings.Contains(d.logText(), "another daemon runs with the keys") {
				return false, d.name + " does not"
			}
		}
		return true, ""
	})

	// As long as both run, what they write comes to everybody, and everybody is told that they do.
	a.run("put", "places", "cities", "live original", `1`)
	c.run("put", "places", "cities", "live copy", `1`)
	until(t, "all have what both write", patience, func() (bool, string) {
		rows := ""
		for _, d := range []*daemon{a, b, c} {
			rows = d.run("scan", "places", "cities")
			if !strings.Contains(rows, "live original") || !strings.Contains(rows, "live copy") {
				return false, d.name + " has " + rows
			}
		}
		return true, ""
	})
	until(t, "all tell of the copy", 2*patience, func() (bool, string) {
		for _, d := range []*daemon{a, b, c} {
			if s := d.run("status"); !strings.Contains(s, "alarm") || !strings.Contains(s, "stop one of them") {
				return false, d.name + " says " + s
			}
		}
		return true, ""
	})
}

// writer is as whom the daemon writes.
func (d *daemon) writer() string {
	d.t.Helper()
	var s struct{ Device string }
	d.query(&s, "status")
	return s.Device
}
