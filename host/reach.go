package host

import (
	"net"
	"net/netip"
	"slices"

	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// reachable returns the addresses that other machines may try, given where peers are accepted and the addresses of this
// machine. What only this machine itself can reach counts if there is nothing else: all members may be on it.
func reachable(listening []string, machine []netip.Addr) []string {
	list := texts(spread(listening, machine), netip.Addr.IsGlobalUnicast)
	if len(list) == 0 {
		list = texts(spread(listening, loopback), netip.Addr.IsLoopback)
	}
	return list[:min(len(list), syncgroup.MaxAddresses)]
}

func texts(all []netip.AddrPort, wanted func(netip.Addr) bool) []string {
	var list []string
	for _, at := range all {
		if wanted(at.Addr()) {
			list = append(list, at.String())
		}
	}
	return list
}

// spread returns every address at which the listeners answer: one without a host answers at all those of the machine.
func spread(listening []string, machine []netip.Addr) []netip.AddrPort {
	var list []netip.AddrPort
	add := func(ip netip.Addr, port uint16) {
		if at := netip.AddrPortFrom(ip, port); !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	for _, address := range listening {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			continue // not of TCP: a test's own kind of listener
		}
		ip := at.Addr().Unmap()
		if !ip.IsUnspecified() {
			add(ip, at.Port())
			continue
		}
		for _, m := range machine {
			// Whoever listens at :: accepts both families.
			if ip.Is6() || m.Is4() {
				add(m, at.Port())
			}
		}
	}
	return list
}

// loopback are the addresses by which every machine reaches itself.
var loopback = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// machineAddresses returns the addresses at which other machines may reach this one, IPv4 first.
func machineAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var v4, v6 []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // the interface has gone
		}
		for _, a := range addresses {
			prefix, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			switch ip := prefix.Addr().Unmap(); {
			case !ip.IsGlobalUnicast():
			case ip.Is4():
				v4 = append(v4, ip)
			default:
				v6 = append(v6, ip)
			}
		}
	}
	return append(v4, v6...), nil
}
