package discover

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

// device gives every letter a device; the own one is "me".
func device(name string) []byte {
	d := id.Device{}
	copy(d[:], name)
	return d[:]
}

// reference: sync-102 what two sources say of a node is one node: found when the first sees it, lost when both have lost it,
// and what a source says anew replaces what it said.
//
// TestTranscripts feeds sightings to the core as scripts say: "seen lan b ttl=30s name=... addr=(...)", "lost lan b", and
// "wait 10s", in which leases end when the core said so. The answer shows what is reported, and when the next lease ends.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &script{core: newSightings(id.Device(device("me"))), now: time.Unix(0, 0)}
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	core *sightings
	now  time.Time
	out  strings.Builder
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	switch d.Cmd {
	case "seen", "lost":
		s.print(s.core.handle(s.now, d.CmdArgs[0].Key, readSighting(t, d)))
	case "wait":
		span, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.wait(span)
	default:
		d.Fatalf(t, "no command %q", d.Cmd)
	}
	if next, ok := s.core.next(); ok {
		fmt.Fprintf(&s.out, "[next in %v]\n", next.Sub(s.now))
	} else {
		s.out.WriteString("[nobody]\n")
	}
	return s.out.String()
}

func readSighting(t *testing.T, d *datadriven.TestData) Sighting {
	in := Sighting{Kind: Seen, Advert: Advert{NodeID: device(d.CmdArgs[1].Key)}, TTL: 30 * time.Second}
	if d.Cmd == "lost" {
		in.Kind = Lost
	}
	for _, arg := range d.CmdArgs[2:] {
		switch arg.Key {
		case "ttl":
			ttl, err := time.ParseDuration(arg.Vals[0])
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			in.TTL = ttl
		case "name":
			in.Advert.Record = []byte(arg.Vals[0])
		case "addr":
			in.Advert.Addresses = arg.Vals
		case "id":
			in.Advert.NodeID = []byte(arg.Vals[0])
		default:
			d.Fatalf(t, "no argument %q", arg.Key)
		}
	}
	return in
}

func (s *script) wait(span time.Duration) {
	end := s.now.Add(span)
	for {
		next, ok := s.core.next()
		if !ok || next.After(end) {
			break
		}
		s.now = next
		s.print(s.core.expire(s.now))
	}
	s.now = end
}

func (s *script) print(changes []change) {
	for _, c := range changes {
		word := "found"
		if c.lost {
			word = "lost"
		}
		name := strings.TrimRight(string(c.node.Device[:]), "\x00")
		fmt.Fprintf(&s.out, "%v %s %s %q at %v by %v\n", s.now.Sub(time.Unix(0, 0)), word, name, c.node.Name, c.node.Addresses, c.node.Sources)
	}
}

// reference: sync-100 reports come in order and add up: whoever is reported as lost was reported as found before, nobody else is, and
// when all are lost nothing is left.
//
// TestReportsAddUp checks that who follows the reports knows at all times what the core knows, whatever the sources say.
func TestReportsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		core := newSightings(id.Device(device("me")))
		now := time.Unix(0, 0)
		tried := map[string]bool{}
		follow := func(changes []change) {
			for _, c := range changes {
				for _, a := range c.node.Addresses {
					if c.lost && !tried[a] {
						t.Fatalf("%s is reported as lost, and was never found", a)
					}
					if c.lost {
						delete(tried, a)
					} else {
						tried[a] = true
					}
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			source := rapid.SampledFrom([]string{"lan", "wan"}).Draw(t, "source")
			in := Sighting{
				Kind:   rapid.SampledFrom([]Kind{Seen, Seen, Lost, Synced}).Draw(t, "kind"),
				Advert: Advert{NodeID: device(rapid.SampledFrom([]string{"a", "b", "c", "me"}).Draw(t, "node"))},
				TTL:    time.Duration(rapid.IntRange(0, 20).Draw(t, "ttl")) * time.Second,
			}
			for _, n := range rapid.SliceOfN(rapid.IntRange(1, 4), 0, 3).Draw(t, "addresses") {
				in.Advert.Addresses = append(in.Advert.Addresses, fmt.Sprintf("10.0.0.%d:4001", n))
			}
			follow(core.handle(now, source, in))
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "pause")) * time.Second)
			follow(core.expire(now))
			want := map[string]bool{}
			for _, n := range core.all() {
				if n.Device == core.own {
					t.Fatal("the node sees itself")
				}
				for _, a := range n.Addresses {
					want[a] = true
				}
			}
			if fmt.Sprint(tried) != fmt.Sprint(want) {
				t.Fatalf("by the reports %v, by the core %v", tried, want)
			}
		}
		follow(core.expire(now.Add(maxLease)))
		if len(tried)+len(core.nodes)+len(core.counts)+len(core.claims) > 0 {
			t.Fatalf("something is left: %v, %+v", tried, core)
		}
	})
}

func TestNodesOfOneSourceAreBounded(t *testing.T) {
	core := newSightings(id.Device(device("me")))
	now := time.Unix(0, 0)
	see := func(source string, n int) []change {
		return core.handle(now, source, Sighting{Kind: Seen, TTL: time.Minute, Advert: Advert{NodeID: device(fmt.Sprintf("%d", n))}})
	}
	for n := range MaxNodes {
		if len(see("flood", n)) != 1 {
			t.Fatalf("node %d was not taken", n)
		}
	}
	if got := see("flood", MaxNodes); got != nil || len(core.nodes) != MaxNodes {
		t.Errorf("one more was taken: %v", got)
	}
	if got := see("lan", MaxNodes); len(got) != 1 {
		t.Errorf("the flood of one source keeps out another: %v", got)
	}
	core.handle(now, "flood", Sighting{Kind: Lost, Advert: Advert{NodeID: device("7")}})
	if got := see("flood", MaxNodes+1); len(got) != 1 {
		t.Error("there was room again, and it was not used")
	}
}

func TestForeignWords(t *testing.T) {
	for in, want := range map[string]string{
		"kitchen":                    "kitchen",
		"K\u00fcche":                 "K\u00fcche",
		"\x1b[2Jgone":                "",
		"\xff\xfe":                   "",
		strings.Repeat("x", 200):     strings.Repeat("x", MaxNameBytes),
		strings.Repeat("\u20ac", 90): strings.Repeat("\u20ac", MaxNameBytes/3),
	} {
		if got := cleanName([]byte(in)); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", in, got, want)
		}
	}
	in := []string{
		"10.0.0.1:4001", "10.0.0.1:4001", "[fe80::1%eth0]:4001", "host.example:1", ":4001", "0.0.0.0:1", "[::]:1",
		"224.0.0.251:5353", "10.0.0.1:0", "10.0.0.1:70000", "10.0.0.1", "a\x00b:1", "",
	}
	want := []string{"10.0.0.1:4001", "[fe80::1%eth0]:4001", "host.example:1"}
	if got := cleanAddresses(in); !slices.Equal(got, want) {
		t.Errorf("cleanAddresses = %q, want %q", got, want)
	}
}
