package discoverymdns

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// link is a network interface in use, with the addresses it has at the moment.
type link struct {
	index    int
	name     string
	loopback bool
	// running is false while the interface has no carrier.
	running bool
	// prefixes are the addresses of the interface with the networks they lie in; without zones.
	prefixes []netip.Prefix
}

func (l link) equal(o link) bool {
	return l.index == o.index && l.name == o.name && l.loopback == o.loopback && l.running == o.running &&
		slices.Equal(l.prefixes, o.prefixes)
}

// has4 and has6 report whether the interface has addresses of a family.
func (l link) has4() bool {
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

func (l link) has6() bool {
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// reaches reports whether an address is a neighbour's on the link. What comes over the loopback interface is this
// machine's, and may bear any of its addresses.
func (l link) reaches(a netip.Addr) bool {
	if l.loopback {
		return true
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// hosts are the addresses a neighbour can use: IPv4 first, then global IPv6, then at most one link-local IPv6.
func (l link) hosts() []netip.Addr {
	var out []netip.Addr
	local := false
	for _, p := range l.prefixes {
		a := p.Addr()
		if a.IsLoopback() != l.loopback || a.IsMulticast() || a.IsUnspecified() {
			continue
		}
		if a.Is6() && a.IsLinkLocalUnicast() {
			if local {
				continue
			}
			local = true
		}
		out = append(out, a)
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return cmp.Compare(usefulness(a), usefulness(b)) })
	return out
}

func usefulness(a netip.Addr) int {
	switch {
	case a.Is4() && !a.IsLinkLocalUnicast():
		return 0
	case a.Is6() && !a.IsLinkLocalUnicast():
		return 1
	case a.Is4():
		return 2
	default:
		return 3
	}
}

// fillAddresses puts the addresses of the link where the host of an address is open, and leaves out what no neighbour
// there could use.
func fillAddresses(addresses []string, on link) []string {
	var out []string
	add := func(s string) {
		if len(out) < discovery.MaxAddresses && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, s := range addresses {
		host, port, ok := splitAddress(s)
		if !ok {
			continue
		}
		ip, err := netip.ParseAddr(host)
		switch {
		case host == "" || err == nil && ip.IsUnspecified():
			only4 := err == nil && ip.Is4()
			for _, a := range on.hosts() {
				if a.Is4() || !only4 {
					add(netip.AddrPortFrom(a, port).String())
				}
			}
		case err == nil && ip.IsLoopback() && !on.loopback:
		case err == nil:
			add(netip.AddrPortFrom(ip.Unmap().WithZone(""), port).String())
		case isHostName(host):
			add(s)
		}
	}
	return out
}

// splitAddress takes "host:port" apart; the port has to be a number from 1 to 65535.
func splitAddress(s string) (host string, port uint16, ok bool) {
	if len(s) > discovery.MaxAddressBytes {
		return "", 0, false
	}
	host, text, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil && n > 0
}
