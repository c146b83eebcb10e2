package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"
)

// line is where the gateway's own gRPC server listens: connections in memory, each made on behalf of somebody who has
// proven who it is. It is listener and credentials in one, and its credentials pass on the proof. Nobody but the gateway
// can connect to it.
//
// grpc-gateway could call the handlers directly, but then without streams and without the interceptors of the server.
type line struct {
	// accepting hands connections from dial to Accept.
	accepting chan *carrier
	// closed is closed by Close, once.
	closed chan struct{}
	once   sync.Once
}

// carrier is the server's end of a connection, with the proof of whoever it was made for.
type carrier struct {
	net.Conn
	proof credentials.AuthInfo
}

// pipeBytes is how much a connection holds in each direction.
const pipeBytes = 256 << 10

func newLine() *line {
	return &line{accepting: make(chan *carrier), closed: make(chan struct{})}
}

// dial connects on behalf of the holder of a proof.
func (l *line) dial(ctx context.Context, proof credentials.AuthInfo) (net.Conn, error) {
	near, far, err := pipe(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case l.accepting <- &carrier{far, proof}:
		return near, nil
	case <-l.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, near.Close(), far.Close())
}

// pipe makes a connection in memory. Unlike net.Pipe it has buffers, so that neither side waits for the other to read.
func pipe(ctx context.Context) (near, far net.Conn, err error) {
	l := bufconn.Listen(pipeBytes)
	accepted := make(chan net.Conn, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		if conn, err := l.Accept(); err == nil {
			accepted <- conn
		}
	})
	near, err = l.DialContext(ctx)
	if err != nil {
		err = errors.Join(err, l.Close())
	}
	wg.Wait()
	if err != nil {
		return nil, nil, err
	}
	return near, <-accepted, nil
}

// Accept implements net.Listener.
func (l *line) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepting:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *line) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *line) Addr() net.Addr { return lineAddr{} }

type lineAddr struct{}

func (lineAddr) Network() string { return "memory" }
func (lineAddr) String() string  { return "gateway" }

// ServerHandshake implements credentials.TransportCredentials: the connection brings its proof along.
func (l *line) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	c, ok := conn.(*carrier)
	if !ok {
		return nil, nil, fmt.Errorf("gateway: a %T carries no proof", conn)
	}
	return c.Conn, c.proof, nil
}

// ClientHandshake refuses: these are credentials of the listening side.
func (l *line) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("gateway: credentials of the listening side")
}

// Info implements credentials.TransportCredentials.
func (l *line) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "memory"}
}

// Clone implements credentials.TransportCredentials.
func (l *line) Clone() credentials.TransportCredentials { return l }

// OverrideServerName implements credentials.TransportCredentials.
func (l *line) OverrideServerName(string) error { return nil }
