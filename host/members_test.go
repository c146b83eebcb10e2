package host

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

func ips(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, t := range texts {
		list = append(list, netip.MustParseAddr(t))
	}
	return list
}

func TestReachable(t *testing.T) {
	machine := ips("192.168.1.2", "fd00::2")
	var many []netip.Addr
	for i := range 2 * syncgroup.MaxAddresses {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	for name, c := range map[string]struct {
		listening []string
		machine   []netip.Addr
		want      []string
	}{
		"nowhere":                  {},
		"a specified host":         {[]string{"192.168.1.2:1"}, machine, []string{"192.168.1.2:1"}},
		"any host":                 {[]string{"[::]:1"}, machine, []string{"192.168.1.2:1", "[fd00::2]:1"}},
		"any host by IPv4":         {[]string{"0.0.0.0:1"}, machine, []string{"192.168.1.2:1"}},
		"loopback alone":           {[]string{"127.0.0.1:1", "[::1]:2"}, machine, []string{"127.0.0.1:1", "[::1]:2"}},
		"loopback beside others":   {[]string{"127.0.0.1:1", "[::]:2"}, machine, []string{"192.168.1.2:2", "[fd00::2]:2"}},
		"loopback, no network":     {[]string{"127.0.0.1:1", "[::]:2"}, nil, []string{"127.0.0.1:1", "127.0.0.1:2", "[::1]:2"}},
		"link-local":               {[]string{"[fe80::1%eth0]:1"}, machine, nil},
		"the same twice":           {[]string{"[::]:1", "192.168.1.2:1"}, machine, []string{"192.168.1.2:1", "[fd00::2]:1"}},
		"an address in disguise":   {[]string{"[::ffff:192.168.1.2]:1"}, machine, []string{"192.168.1.2:1"}},
		"something of another net": {[]string{"pipe"}, machine, nil},
	} {
		if diff := cmp.Diff(c.want, reachable(c.listening, c.machine)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := len(reachable([]string{"0.0.0.0:1"}, many)); n != syncgroup.MaxAddresses {
		t.Errorf("%d addresses of %d, want %d", n, len(many), syncgroup.MaxAddresses)
	}
}

func TestOwnAddressesAreNotThoseOfOthers(t *testing.T) {
	own := spread([]string{"0.0.0.0:1"}, append(ips("192.168.1.2"), loopback...))
	got := others([]string{"127.0.0.1:1", "192.168.1.2:1", "[::ffff:192.168.1.2]:1", "192.168.1.2:2", "192.168.1.3:1", "pc:1"}, own)
	if diff := cmp.Diff([]string{"192.168.1.2:2", "192.168.1.3:1", "pc:1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// told records what the sessions are told.
type told []string

func (s *told) AddAddress(source string, addresses ...string) error {
	*s = append(*s, fmt.Sprint("+", source, addresses))
	return nil
}

func (s *told) RemoveAddress(source string, addresses ...string) {
	*s = append(*s, fmt.Sprint("-", source, addresses))
}

func twoDatabases(t *testing.T) (one, other *rows.DB) {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := rows.Open(store, rows.Options{Now: time.Now, NewDevice: newDevice})
	if err != nil {
		t.Fatal(err)
	}
	create := func(local string) *rows.DB {
		db, err := s.Create(id.Name{Owner: "test.local/owner", Local: local}, perm.For("test.local/owner", perm.DatabaseTags))
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	return create("one"), create("other")
}

func TestDirectoryTellsWhatChanged(t *testing.T) {
	var sessions told
	d := &directory{sessions: &sessions, registers: map[*rows.DB]memberAddresses{}}
	one, other := twoDatabases(t)
	for _, step := range []struct {
		what string
		db   *rows.DB
		say  memberAddresses
		want told
	}{
		{"two members", one, memberAddresses{"b": {"b:1", "b:2"}, "c": {"c:1"}}, told{"+syncgroup[b:1 b:2]", "+syncgroup[c:1]"}},
		{"nothing new", one, memberAddresses{"b": {"b:1", "b:2"}, "c": {"c:1"}}, nil},
		{"the same elsewhere", other, memberAddresses{"b": {"b:1"}}, nil},
		{"one address moved", one, memberAddresses{"b": {"b:2", "b:3"}, "c": {"c:1"}}, told{"+syncgroup[b:2 b:3 b:1]"}},
		{"gone here, held there", one, memberAddresses{"b": {"b:2"}, "c": {"c:1"}}, told{"+syncgroup[b:2 b:1]", "-syncgroup[b:3]"}},
		{"a bridge of both", one, memberAddresses{"b": {"b:2", "br:1"}, "c": {"c:1", "br:1"}}, nil},
		{"an address changed hands", one, memberAddresses{"b": {"c:1"}}, told{"+syncgroup[c:1 b:1]", "-syncgroup[b:2]"}},
		{"known by another name", one, memberAddresses{"b": {"b:1"}, "b2": {"b:1"}}, told{"+syncgroup[b:1]", "+syncgroup[b:1]", "-syncgroup[c:1]"}},
		{"database gone", one, nil, nil},
		{"last one gone", other, nil, told{"-syncgroup[b:1]"}},
	} {
		sessions = nil
		if err := d.update(step.db, step.say); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, sessions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

func identityOf(i int) id.Principal {
	return id.Principal(fmt.Sprintf("test.local/owner/device/d%05d", i))
}

func TestMembersAreBounded(t *testing.T) {
	d := &directory{registers: map[*rows.DB]memberAddresses{}}
	registers := memberAddresses{}
	for i := range maxMembers + 10 {
		registers.add(identityOf(i), []string{fmt.Sprintf("h%d:1", i)})
	}
	for i := range 2 * syncgroup.MaxAddresses {
		registers.add(identityOf(0), []string{fmt.Sprintf("h:%d", i)})
	}
	d.registers[&rows.DB{}] = registers
	told := d.telling()
	if len(told) != maxMembers || len(told[identityOf(0)]) != syncgroup.MaxAddresses {
		t.Errorf("%d members, %d addresses of one; want %d and %d",
			len(told), len(told[identityOf(0)]), maxMembers, syncgroup.MaxAddresses)
	}
	if !slices.Contains(told[identityOf(0)], "h0:1") {
		t.Errorf("addresses %v", told[identityOf(0)])
	}
}
