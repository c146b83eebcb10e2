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
	var able []link
	for _, ifi := range all {
		multicast := ifi.Flags&(net.FlagLoopback|net.FlagMulticast) != 0
		if l, ok := readLink(ifi); ok && multicast && ifi.Flags&net.FlagUp != 0 {
			able = append(able, l)
		}
	}
	chosen := config.choose(able)
	return chosen, missing(config.Interfaces, chosen)
}

// choose picks the links to use from those that can be used.
func (c Config) choose(able []link) []link {
	var chosen, loopback []link
	for _, l := range able {
		named := slices.Contains(c.Interfaces, l.name)
		byDefault := len(c.Interfaces) == 0 && !l.loopback
		switch {
		case named, byDefault, l.loopback && c.IncludeLoopback:
			chosen = append(chosen, l)
		case l.loopback:
			loopback = append(loopback, l)
		}
	}
	if len(chosen) == 0 && len(c.Interfaces) == 0 {
		chosen = loopback
	}
	return chosen[:min(len(chosen), maxLinks)]
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
