package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestStrangerGetsNothing lets a daemon with a certificate of another authority come to one that has something to give.
func TestStrangerGetsNothing(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	a.run("put", "places", "cities", "secret", "1")
	b := n.startWith(a, "b")
	join(b, a, "normal")
	if said := b.run("syncgroup", "join", "places", "all", "--peer", a.address()); !strings.Contains(said, "already") {
		t.Errorf("join of what it is a member of: %q, want that it was one already", said)
	}
	stranger := n.start("stranger")

	stranger.try("syncgroup", "join", "places", "all", "--peer", a.address()).refused(t, 1, "trust", "identity issue")
	// The one who refuses is the stranger; a hears of it a moment later.
	until(t, "the log of a tells of the refusal", time.Minute, func() (bool, string) {
		log := a.logText()
		return strings.Contains(log, "refused") && strings.Contains(log, "trust domain"), ""
	})
	for _, d := range []*daemon{a, stranger} {
		for _, p := range d.status().Peers {
			if p.Connected && p.Name != "b" && p.Name != "a" {
				t.Errorf("%s is connected with %s", d.name, p.Name)
			}
		}
	}
	if stranger.connected() != 0 || stranger.received() != 0 {
		t.Errorf("the stranger has received something: %+v", stranger.status().Peers)
	}
	if out := stranger.run("db", "list"); out != "" {
		t.Errorf("the stranger has databases: %s", out)
	}

	a.run("put", "places", "cities", "after the stranger", "1")
	b.gets("after the stranger")
	b.gets("secret")
}
