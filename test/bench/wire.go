package main

import (
	"context"
	"net"
	"sync"
)

// wire carries connections from its address to a target, and can be cut: then every connection on it is reset and what is under way
// is lost, as when a router dies. New ones can be made at once.
type wire struct {
	target   string
	listener net.Listener
	// carrying is what goes on; close waits for it.
	carrying sync.WaitGroup
	// mu guards the fields below it.
	mu    sync.Mutex
	conns map[*net.TCPConn]bool
	// made counts the connections so far, and back the bytes that came from the target. At cutAt of them the wire is cut, and
	// every so many bytes again, until cuts are over.
	made, cuts         int
	back, cutAt, every int64
}

// layWire lays a wire that is cut so many times, every so many bytes that come from the target.
func layWire(ctx context.Context, target string, cuts int, every int64) (*wire, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	x := &wire{target: target, listener: l, conns: map[*net.TCPConn]bool{}, cuts: cuts, cutAt: every, every: every}
	x.carrying.Go(x.accept)
	return x, nil
}

func (x *wire) address() string { return x.listener.Addr().String() }

// state returns how many connections were made, how many cuts are left, and how many bytes came from the target.
func (x *wire) state() (made, cuts int, back int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.made, x.cuts, x.back
}

// close takes the wire away and waits for what is on it.
func (x *wire) close() {
	_ = x.listener.Close()
	x.mu.Lock()
	x.cut()
	x.mu.Unlock()
	x.carrying.Wait()
}

func (x *wire) accept() {
	for {
		near, err := x.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", x.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		one, other := near.(*net.TCPConn), far.(*net.TCPConn)
		x.mu.Lock()
		x.made++
		x.conns[one], x.conns[other] = true, true
		x.mu.Unlock()
		x.carrying.Go(func() { x.carry(other, one, nil) })
		x.carrying.Go(func() { x.carry(one, other, x.count) })
	}
}

// carry moves bytes until either end is closed, and closes both. It tells of every piece before it goes on.
func (x *wire) carry(to, from *net.TCPConn, tell func(n int)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if tell != nil {
			tell(n)
		}
		if n > 0 && err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.conns, to)
	delete(x.conns, from)
}

// count takes note of what comes from the target, and cuts the wire when it is time.
func (x *wire) count(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.back += int64(n)
	if x.cuts > 0 && x.back >= x.cutAt {
		x.cuts--
		x.cutAt = x.back + x.every
		x.cut()
	}
}

// cut resets every connection. The caller holds mu.
func (x *wire) cut() {
	for c := range x.conns {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}
