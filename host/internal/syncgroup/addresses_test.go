package syncgroup

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/rows"
)

// register returns the register of p as d has it.
func (d *device) register(p *device) rows.Row {
	d.t.Helper()
	row, err := d.db.Get(Metadata(sg), memberPrefix+string(p.principal()))
	if err != nil {
		d.t.Fatal(err)
	}
	return row
}

func (d *device) setRegister(p *device, value string) {
	d.t.Helper()
	ops := []rows.Op{{Collection: Metadata(sg), Key: memberPrefix + string(p.principal()), Value: []byte(value)}}
	if _, err := d.db.Commit(ops, nil); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) announce(addresses ...string) {
	d.t.Helper()
	if err := Announce(d.db, sg, d.principal(), Announcement{Addresses: addresses}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) reachable(p *device) []string {
	d.t.Helper()
	members, err := Members(d.db, sg)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, m := range members {
		if m.Principal == p.principal() {
			return m.Reachable()
		}
	}
	d.t.Fatalf("no register of %s", p.name)
	return nil
}

func TestAnnounceWritesOnlyWhatChanged(t *testing.T) {
	a := newDevice(t, "a").create()
	before := a.register(a).Version
	a.announce("10.0.0.1:4001", "[fd00::1]:4001")
	first := a.register(a).Version
	if first == before {
		t.Fatal("nothing was written")
	}
	if diff := cmp.Diff([]string{"10.0.0.1:4001", "[fd00::1]:4001"}, a.reachable(a)); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	a.announce("10.0.0.1:4001", "[fd00::1]:4001")
	if again := a.register(a).Version; again != first {
		t.Errorf("announcing the same again made version %s of %s", again, first)
	}
	a.announce()
	if got := a.reachable(a); len(got) != 0 {
		t.Errorf("addresses %v after none were announced", got)
	}
}

// The type goes back to what this device joined as; everything else is left as it is.
func TestAnnounceKeepsTheOtherFields(t *testing.T) {
	a := newDevice(t, "a").create()
	device := a.db.Writer().Device.String()
	a.setRegister(a, `{"type":"server","device":"`+device+`","joined":"2026-01-02T03:04:05Z","priority":7,"later":{"x":1}}`)
	a.announce("10.0.0.1:4001")
	want := `{"addresses":["10.0.0.1:4001"],"device":"` + device + `","joined":"2026-01-02T03:04:05Z","later":{"x":1},"priority":7,"told":1,"type":"normal"}`
	if got := string(a.register(a).Value); got != want {
		t.Errorf("register\n%s, want\n%s", got, want)
	}
}

func TestAnnounceLeavesOtherRegistersAlone(t *testing.T) {
	for name, value := range map[string]string{
		"of another device":   `{"type":"normal","device":"00000000000000ff"}`,
		"that cannot be read": `{"type":7}`,
		"that is no object":   `[1]`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newDevice(t, "a").create()
			a.setRegister(a, value)
			a.announce("10.0.0.1:4001")
			if got := string(a.register(a).Value); got != value {
				t.Errorf("register %s, want it untouched: %s", got, value)
			}
		})
	}
	t.Run("that is not there yet", func(t *testing.T) {
		a, b := newDevice(t, "a").create(), newDevice(t, "b")
		b.join(a, Normal)
		b.announce("10.0.0.2:4001")
		if members, err := Members(b.db, sg); err != nil || len(members) != 0 {
			t.Errorf("b has the registers %+v, %v; want none, it has not got the metadata", members, err)
		}
	})
}

func TestJoiningAgainKeepsAddresses(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	a.setRegister(b, `{"type":"normal","device":"`+b.db.Writer().Device.String()+`","addresses":["10.0.0.2:4001"]}`)
	b.join(a, Server)
	members, err := Members(a.db, sg)
	if err != nil || len(members) != 2 || members[1].Type != Server {
		t.Fatalf("members %+v, %v; want b to be a server", members, err)
	}
	if diff := cmp.Diff([]string{"10.0.0.2:4001"}, a.reachable(b)); diff != "" {
		t.Errorf("addresses of b (-want +got):\n%s", diff)
	}
}

func TestReachableIsValidatedAndBounded(t *testing.T) {
	var many []string
	for i := range 2 * MaxAddresses {
		many = append(many, fmt.Sprintf("10.0.0.%d:4001", i))
	}
	for name, c := range map[string]struct{ given, want []string }{
		"nothing": {},
		"good":    {[]string{"10.0.0.1:4001", "[fd00::1]:1", "host.example:65535"}, []string{"10.0.0.1:4001", "[fd00::1]:1", "host.example:65535"}},
		"garbage": {
			[]string{
				"", "x", "10.0.0.1", ":4001", "0.0.0.0:4001", "[::]:4001", "[::ffff:0.0.0.0]:4001", "10.0.0.1:0", "10.0.0.1:65536",
				"10.0.0.1:http", "a b:1", "a\n:1", strings.Repeat("h", 255) + ":1", "10.0.0.9:9",
			},
			[]string{"10.0.0.9:9"},
		},
		"twice":    {[]string{"10.0.0.1:1", "10.0.0.1:1"}, []string{"10.0.0.1:1"}},
		"too many": {many, many[:MaxAddresses]},
	} {
		if diff := cmp.Diff(c.want, (Member{Addresses: c.given}).Reachable()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
