package discoverymdns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// network is what the service needs of the machine, so that a test can give it another one.
type network struct {
	// links lists the interfaces to use. Along with some it may return an error that says which others are missing.
	links func() ([]link, error)
	// open listens and returns the links that can be used. Along with a transport it may return an error about others.
	open func([]link) (transport, []link, error)
	// jitter gives numbers from 0 to 1.
	jitter func() float64
}

// transport sends and receives packets of multicast DNS on some links.
type transport interface {
	send(outgoing) error
	arrivals() <-chan arrival
	// failed yields an error when nothing more will arrive.
	failed() <-chan error
	close()
}

// system is the network of this machine.
func system(config Config) network {
	return network{
		links:  func() ([]link, error) { return systemLinks(config) },
		open:   openSockets,
		jitter: rand.Float64,
	}
}

func systemLinks(config Config) ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	var chosen, spare []link
	for _, ifi := range all {
		named := slices.Contains(config.Interfaces, ifi.Name)
		loopback := ifi.Flags&net.FlagLoopback != 0
		wanted := named || loopback && config.IncludeLoopback || len(config.Interfaces) == 0 && !loopback
		multicast := loopback || ifi.Flags&net.FlagMulticast != 0
		if ifi.Flags&net.FlagUp == 0 || !multicast {
			continue
		}
		l, ok := readLink(ifi)
		switch {
		case !ok:
		case wanted && len(chosen) < maxLinks:
			chosen = append(chosen, l)
		case loopback:
			spare = append(spare, l)
		}
	}
	if len(chosen) == 0 && len(config.Interfaces) == 0 {
		chosen = spare
	}
	return chosen, missing(config.Interfaces, chosen)
}

// missing says which interfaces of the configuration, or that all, cannot be used now.
func missing(want []string, have []link) error {
	var absent []string
	for _, name := range want {
		if !slices.ContainsFunc(have, func(l link) bool { return l.name == name }) {
			absent = append(absent, name)
		}
	}
	switch {
	case len(absent) > 0:
		return fmt.Errorf("%s: absent, down, without an address or without multicast", strings.Join(absent, ", "))
	case len(have) == 0:
		return errors.New("none is up, has an address and knows multicast")
	}
	return nil
}

// readLink reports false for an interface without addresses.
func readLink(ifi net.Interface) (link, bool) {
	l := link{
		index:    ifi.Index,
		name:     ifi.Name,
		loopback: ifi.Flags&net.FlagLoopback != 0,
		running:  ifi.Flags&net.FlagRunning != 0,
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return l, false
	}
	for _, a := range addrs {
		n, isNet := a.(*net.IPNet)
		if !isNet {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		bits, _ := n.Mask.Size()
		l.prefixes = append(l.prefixes, netip.PrefixFrom(ip.Unmap(), bits))
	}
	return l, len(l.prefixes) > 0
}
