package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/syncbase/syncbase/host/internal/id"
)

// AuthInfo is the proven identity of the other end of a gRPC connection; there is one for each connection.
type AuthInfo struct {
	credentials.CommonAuthInfo
	principal id.Principal
	local     bool
	callback  bool
}

// AuthType implements credentials.AuthInfo.
func (a *AuthInfo) AuthType() string {
	if a.local {
		return "local"
	}
	return "tls"
}

// Principal is who is at the other end.
func (a *AuthInfo) Principal() id.Principal { return a.principal }

// Local reports whether the connection came through the local socket.
func (a *AuthInfo) Local() bool { return a.local }

// Callback reports whether the side that was dialled makes the requests.
func (a *AuthInfo) Callback() bool { return a.callback }

func proven(p id.Principal, local bool) *AuthInfo {
	return &AuthInfo{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		principal:      p,
		local:          local,
	}
}

// ErrAnonymous is returned by Caller for a call over a transport that proves nobody.
var ErrAnonymous = errors.New("identity: the caller has not proven who it is")

// Caller returns the principal that makes the gRPC call of ctx, on either transport.
func Caller(ctx context.Context) (id.Principal, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", ErrAnonymous
	}
	proof, ok := p.AuthInfo.(interface{ Principal() id.Principal })
	if !ok || proof.Principal() == "" {
		return "", ErrAnonymous
	}
	return proof.Principal(), nil
}

// ServerCredentials authenticates connections of other devices, callbacks among them; ServerTLS says how. Alerts with which
// callers refuse this device are told to refused too.
func (i *Identity) ServerCredentials(refused func(Refusal)) credentials.TransportCredentials {
	return tlsCredentials{identity: i, refused: refused}
}

// ClientCredentials authenticates this device to others, and them to it; ClientTLS says how.
func (i *Identity) ClientCredentials(refused func(Refusal)) credentials.TransportCredentials {
	return tlsCredentials{identity: i, refused: refused, dials: protocol}
}

// CallbackCredentials are ClientCredentials for a connection on which the other side makes the requests.
func (i *Identity) CallbackCredentials(refused func(Refusal)) credentials.TransportCredentials {
	return tlsCredentials{identity: i, refused: refused, dials: callbackProtocol}
}

type tlsCredentials struct {
	identity *Identity
	refused  func(Refusal)
	// dials is the protocol that a client asks for.
	dials string
}

func (c tlsCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn := tls.Server(raw, c.identity.serverTLS(c.refused, protocol, callbackProtocol))
	address := raw.RemoteAddr().String()
	if err := conn.HandshakeContext(context.Background()); err != nil {
		linger(raw)
		return nil, nil, c.failed(conn, address, err)
	}
	return c.finish(conn, conn, address)
}

func (c tlsCredentials) ClientHandshake(ctx context.Context, address string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn := tls.Client(raw, c.identity.clientTLS(address, c.refused, c.dials))
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, nil, c.failed(conn, address, err)
	}
	accepted, err := awaitAcceptance(ctx, conn)
	if err != nil {
		return nil, nil, c.failed(conn, address, err)
	}
	return c.finish(conn, accepted, address)
}

// failed closes the connection and explains, to the hook too, when the other side has refused us.
func (c tlsCredentials) failed(conn *tls.Conn, address string, err error) error {
	conn.Close()
	var refusal Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	if r, ok := c.identity.RemoteRefusal(address, err); ok {
		if c.refused != nil {
			c.refused(r)
		}
		return r
	}
	return fmt.Errorf("handshake with %s: %w", address, err)
}

func (c tlsCredentials) finish(conn *tls.Conn, out net.Conn, address string) (net.Conn, credentials.AuthInfo, error) {
	state := conn.ConnectionState()
	principal, err := c.identity.PeerPrincipal(state)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("handshake with %s: %w", address, err)
	}
	info := proven(principal, false)
	info.callback = state.NegotiatedProtocol == callbackProtocol
	return out, info, nil
}

// awaitAcceptance waits for the first byte of the server, which an HTTP/2 server sends unasked, and a client that is called back,
// too. Only it, or an alert in
// its place, tells whether the server accepts the client: to the client, a handshake in TLS 1.3 is complete before.
func awaitAcceptance(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	first := make([]byte, 1)
	_, err := io.ReadFull(conn, first)
	if !stop() {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		return nil, err
	}
	return &begunConn{Conn: conn, first: first}, nil
}

// begunConn is a connection of which the first byte has been read already. Reading is for one goroutine at a time.
type begunConn struct {
	net.Conn
	first []byte
}

func (c *begunConn) Read(b []byte) (int, error) {
	if len(c.first) > 0 && len(b) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// linger lets the other side read the alert that ends a refused handshake: closing while something that it sent is
// unread would make the kernel throw the alert away.
func linger(raw net.Conn) {
	const patience, most = time.Second, 64 << 10
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() != nil {
		return
	}
	raw.SetReadDeadline(time.Now().Add(patience))
	io.CopyN(io.Discard, raw, most)
}

func (c tlsCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (c tlsCredentials) Clone() credentials.TransportCredentials { return c }

func (c tlsCredentials) OverrideServerName(string) error { return nil }

// LocalCredentials authenticates processes at the local Unix socket: those of this process's user, and root, are the
// owner. Where the system cannot tell who is at the other end, the mode of the socket is the only guard.
func (i *Identity) LocalCredentials() credentials.TransportCredentials {
	return localCredentials{owner: i.Owner}
}

type localCredentials struct{ owner func() id.Principal }

func (c localCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	uid, err := peerUID(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return nil, nil, fmt.Errorf("local socket: who is calling: %w", err)
	case uid != os.Getuid() && uid != 0:
		return nil, nil, fmt.Errorf("local socket: refused: the caller runs as user %d, this daemon as %d; use a certificate and the TLS address", uid, os.Getuid())
	}
	return conn, proven(c.owner(), true), nil
}

// ClientHandshake refuses: a client of the local socket has nothing to prove beyond what the kernel says of it.
func (c localCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("identity: local credentials are for the listening side")
}

func (c localCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "local"}
}

func (c localCredentials) Clone() credentials.TransportCredentials { return c }

func (c localCredentials) OverrideServerName(string) error { return nil }
