package gateway

import (
	"net"
	"sync"
	"sync/atomic"
)

// limited is a listener that accepts no more than so many connections at a time; the others wait in the kernel.
type limited struct {
	net.Listener
	// places holds one value for every open connection.
	places chan struct{}
	// closed is closed by Close, so that Accept does not wait for a place any more.
	closed chan struct{}
	once   sync.Once
}

func limit(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, places: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
	// answering: a request has been read and is not answered to its end.
	answering atomic.Bool
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
