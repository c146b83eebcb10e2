package discoverymdns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

var (
	group4 = &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: mdnsPort}
	group6 = &net.UDPAddr{IP: net.ParseIP("ff02::fb"), Port: mdnsPort}
)

// hopLimit is what multicast DNS prescribes.
const hopLimit = 255

// sockets are one socket a family, both bound to the port that all programs of the machine share. Each has a goroutine
// that reads until the socket is closed.
type sockets struct {
	v4      *ipv4.PacketConn
	v6      *ipv6.PacketConn
	links   []link
	in      chan arrival
	broken  chan error
	stop    chan struct{}
	readers sync.WaitGroup
}

func openSockets(links []link) (transport, []link, error) {
	s := &sockets{
		in:     make(chan arrival, arrivalsBuffer),
		broken: make(chan error, 2),
		stop:   make(chan struct{}),
	}
	joined := make(map[int]bool)
	err4 := s.open4(links, joined)
	err6 := s.open6(links, joined)
	for _, l := range links {
		if joined[l.index] {
			s.links = append(s.links, l)
		}
	}
	// One family is enough on a link that has only that one, or on a machine without the other.
	var faults []error
	if len(s.links) < len(links) {
		faults = append(faults, err4, err6)
	}
	if len(s.links) == 0 {
		s.close()
		return nil, nil, errors.Join(faults...)
	}
	return s, s.links, errors.Join(faults...)
}

func (s *sockets) open4(links []link, joined map[int]bool) error {
	if !slices.ContainsFunc(links, link.has4) {
		return nil
	}
	// For a multicast address, package net binds to the port on all addresses and lets others share it.
	udp, err := net.ListenUDP("udp4", group4)
	if err != nil {
		return fmt.Errorf("listen on IPv4: %w", err)
	}
	s.v4 = ipv4.NewPacketConn(udp)
	var faults []error
	for _, l := range links {
		if !l.has4() {
			continue
		}
		if err := s.v4.JoinGroup(&net.Interface{Index: l.index, Name: l.name}, group4); err != nil {
			faults = append(faults, fmt.Errorf("join on %s: %w", l.name, err))
			continue
		}
		joined[l.index] = true
	}
	// Where the system cannot tell the interface of a packet, it is found by the sender's address.
	_ = s.v4.SetControlMessage(ipv4.FlagInterface, true)
	faults = append(faults, s.v4.SetMulticastTTL(hopLimit), s.v4.SetMulticastLoopback(true))
	s.readers.Go(func() { s.read4() })
	return errors.Join(faults...)
}

func (s *sockets) open6(links []link, joined map[int]bool) error {
	if !slices.ContainsFunc(links, link.has6) {
		return nil
	}
	udp, err := net.ListenUDP("udp6", group6)
	if err != nil {
		return fmt.Errorf("listen on IPv6: %w", err)
	}
	s.v6 = ipv6.NewPacketConn(udp)
	var faults []error
	for _, l := range links {
		if !l.has6() {
			continue
		}
		if err := s.v6.JoinGroup(&net.Interface{Index: l.index, Name: l.name}, group6); err != nil {
			faults = append(faults, fmt.Errorf("join on %s: %w", l.name, err))
			continue
		}
		joined[l.index] = true
	}
	_ = s.v6.SetControlMessage(ipv6.FlagInterface, true)
	faults = append(faults, s.v6.SetMulticastHopLimit(hopLimit), s.v6.SetMulticastLoopback(true))
	s.readers.Go(func() { s.read6() })
	return errors.Join(faults...)
}

func (s *sockets) read4() {
	buf := make([]byte, maxPacket)
	for {
		n, cm, from, err := s.v4.ReadFrom(buf)
		if err != nil {
			s.broken <- fmt.Errorf("read from IPv4: %w", err)
			return
		}
		index := 0
		if cm != nil {
			index = cm.IfIndex
		}
		if !s.deliver(index, from, buf[:n]) {
			return
		}
	}
}

func (s *sockets) read6() {
	buf := make([]byte, maxPacket)
	for {
		n, cm, from, err := s.v6.ReadFrom(buf)
		if err != nil {
			s.broken <- fmt.Errorf("read from IPv6: %w", err)
			return
		}
		index := 0
		if cm != nil {
			index = cm.IfIndex
		}
		if !s.deliver(index, from, buf[:n]) {
			return
		}
	}
}

// deliver hands a packet to the loop; it reports false when the sockets are being closed.
func (s *sockets) deliver(index int, from net.Addr, packet []byte) bool {
	udp, ok := from.(*net.UDPAddr)
	if !ok {
		return true
	}
	sender := udp.AddrPort()
	sender = netip.AddrPortFrom(sender.Addr().Unmap(), sender.Port())
	if index == 0 {
		i := slices.IndexFunc(s.links, func(l link) bool { return l.reaches(sender.Addr()) })
		if i < 0 {
			return true
		}
		index = s.links[i].index
	}
	select {
	case s.in <- arrival{link: index, from: sender, data: slices.Clone(packet)}:
		return true
	case <-s.stop:
		return false
	}
}

func (s *sockets) arrivals() <-chan arrival { return s.in }
func (s *sockets) failed() <-chan error     { return s.broken }

// send sends to one asker, or to the groups of both families.
func (s *sockets) send(o outgoing) error {
	if o.to.IsValid() {
		return s.sendTo(o)
	}
	ifi := &net.Interface{Index: o.link.index, Name: o.link.name}
	var err4, err6 error
	ways := 0
	if s.v4 != nil && o.link.has4() {
		ways++
		if err4 = s.v4.SetMulticastInterface(ifi); err4 == nil {
			_, err4 = s.v4.WriteTo(o.data, nil, group4)
		}
	}
	if s.v6 != nil && o.link.has6() {
		ways++
		if err6 = s.v6.SetMulticastInterface(ifi); err6 == nil {
			_, err6 = s.v6.WriteTo(o.data, nil, group6)
		}
	}
	if ways == 2 && (err4 == nil || err6 == nil) {
		return nil
	}
	if err := errors.Join(err4, err6); err != nil {
		return fmt.Errorf("on %s: %w", o.link.name, err)
	}
	return nil
}

func (s *sockets) sendTo(o outgoing) error {
	to := net.UDPAddrFromAddrPort(o.to)
	var err error
	switch {
	case o.to.Addr().Is4() && s.v4 != nil:
		_, err = s.v4.WriteTo(o.data, nil, to)
	case o.to.Addr().Is6() && s.v6 != nil:
		_, err = s.v6.WriteTo(o.data, nil, to)
	}
	if err != nil {
		return fmt.Errorf("to %v: %w", o.to, err)
	}
	return nil
}

// close ends the readers and waits for them.
func (s *sockets) close() {
	close(s.stop)
	if s.v4 != nil {
		_ = s.v4.Close()
	}
	if s.v6 != nil {
		_ = s.v6.Close()
	}
	s.readers.Wait()
}
