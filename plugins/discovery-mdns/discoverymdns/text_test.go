package discoverymdns

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// TestTextRoundTrip checks that a neighbour reads what was written, and that it stays within the bounds.
func TestTextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		octets := func(name string, low, high int) []byte {
			return rapid.SliceOfN(rapid.Byte(), low, high).Draw(t, name)
		}
		want := discovery.Advert{
			NodeID: octets("id", 1, discovery.MaxNodeIDBytes),
			Record: octets("record", 0, discovery.MaxRecordBytes),
		}
		for range rapid.IntRange(0, discovery.MaxGroups).Draw(t, "groups") {
			want.Groups = append(want.Groups, octets("group", 0, discovery.MaxGroupBytes))
		}
		want.Addresses = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{
			"10.0.1.7:4001", "[2001:db8::7]:4001", "host.example:80", strings.Repeat("x.", 100) + "example:4001",
		}), 0, 4, rapid.ID).Draw(t, "addresses")
		texts := writeText(want)
		size := 0
		for _, s := range texts {
			size += 1 + len(s)
			if len(s) > maxString {
				t.Fatalf("a string of %d bytes", len(s))
			}
		}
		if size > maxText {
			t.Fatalf("a record of %d bytes", size)
		}
		got, err := readText(texts, eth(1, 2))
		if err != nil {
			t.Fatal(err)
		}
		// Addresses give way to the rest, the last ones first.
		if n := len(got.Addresses); n > len(want.Addresses) || !slices.Equal(got.Addresses, want.Addresses[:n]) {
			t.Fatalf("addresses %q, want a beginning of %q", got.Addresses, want.Addresses)
		}
		got.Addresses, want.Addresses = nil, nil
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAddresses(t *testing.T) {
	lo := link{index: 1, name: "lo", loopback: true, prefixes: prefixes("127.0.0.1/8", "::1/128")}
	lan := link{index: 2, name: "eth0", prefixes: prefixes("fe80::7/64", "2001:db8::7/64", "fe80::8/64", "10.0.0.7/24")}
	for _, c := range []struct {
		on   link
		in   string
		want []string
	}{
		{lan, ":4001", []string{"10.0.0.7:4001", "[2001:db8::7]:4001", "[fe80::7]:4001"}},
		{lan, "[::]:4001", []string{"10.0.0.7:4001", "[2001:db8::7]:4001", "[fe80::7]:4001"}},
		{lan, "0.0.0.0:4001", []string{"10.0.0.7:4001"}},
		{lan, "192.0.2.1:4001", []string{"192.0.2.1:4001"}},
		{lan, "[fe80::7%eth0]:4001", []string{"[fe80::7]:4001"}},
		{lan, "host.example:4001", []string{"host.example:4001"}},
		{lan, "127.0.0.1:4001", nil},
		{lan, ":0", nil},
		{lan, "nonsense", nil},
		{lo, ":4001", []string{"127.0.0.1:4001", "[::1]:4001"}},
		{lo, "127.0.0.1:4001", []string{"127.0.0.1:4001"}},
	} {
		if got := fillAddresses([]string{c.in}, c.on); !slices.Equal(got, c.want) {
			t.Errorf("%q on %s is announced as %q, want %q", c.in, c.on.name, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"10.0.0.7:4001":          "10.0.0.7:4001",
		"[::ffff:10.0.0.7]:4001": "10.0.0.7:4001",
		"[fe80::7]:4001":         "[fe80::7%eth0]:4001",
		"[fe80::7%wlan9]:4001":   "[fe80::7%eth0]:4001",
		"host.example:4001":      "host.example:4001",
		"127.0.0.1:4001":         "",
		"[::1]:4001":             "",
		"0.0.0.0:4001":           "",
		"224.0.0.1:4001":         "",
		":4001":                  "",
		"10.0.0.7:0":             "",
		"10.0.0.7:http":          "",
		"bad host:4001":          "",
		"-..-:4001":              "",
		"\x1b[2J:4001":           "",
	} {
		if got, ok := readAddress(in, lan); ok != (want != "") || ok && got != want {
			t.Errorf("%q is read as %q (%v), want %q", in, got, ok, want)
		}
	}
}

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestForeignText(t *testing.T) {
	for name, texts := range map[string][]string{
		"nothing":             nil,
		"no version":          {"id=eA"},
		"a later version":     {"v=2", "id=eA"},
		"no id":               {"v=1"},
		"id is not base64":    {"v=1", "id=!"},
		"record of too much":  {"v=1", "id=eA", "r0=" + strings.Repeat("A", 1000)},
		"group that is short": {"v=1", "id=eA", "g0=/wAA"},
		"group too long":      {"v=1", "id=eA", "g0=" + encoding.EncodeToString(append([]byte{17}, make([]byte, 17)...))},
	} {
		if got, err := readText(texts, eth(1, 1)); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	got, err := readText([]string{"v=1", "id=eA", "id=eQ", "future=x", "=", ""}, eth(1, 1))
	if err != nil || string(got.NodeID) != "x" {
		t.Errorf("the first id counts and unknown keys do not: %+v, %v", got, err)
	}
}

// FuzzPacket feeds the station whatever a network can hold.
func FuzzPacket(f *testing.F) {
	a, _ := newAnnouncement(advertOf("other"), eth(1, 2))
	whole, err := a.pack(reply{ttl: 30})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(bytes.Repeat([]byte{0xc0}, 64))
	if question, err := packQuestion([]knownAnswer{{"6d65", 29}}); err == nil {
		f.Add(question)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, sender := range []string{"10.0.1.2:5353", "10.0.1.2:40000"} {
			s, now := steady()
			s.receive(now, arrival{link: 1, from: netip.MustParseAddrPort(sender), data: packet})
			for _, c := range s.table.changes() {
				if err := c.event(now).Validate(); err != nil {
					t.Errorf("an invalid event: %v", err)
				}
			}
			s.run(now, interval)
			s.ask(now, true)
			if sent := s.run(now, interval); len(sent) == 0 {
				t.Error("no question was asked any more")
			}
		}
	})
}
