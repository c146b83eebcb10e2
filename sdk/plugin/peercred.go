package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"google.golang.org/grpc/credentials"
)

// Peer is what the kernel says about the process at the other end of a Unix socket.
type Peer struct {
	PID int
	UID int
}

// ErrForeignPeer is returned by a handshake with a process that is neither our host nor our plugin.
var ErrForeignPeer = errors.New("plugin: the process at the other end of the socket is not the expected one")

// PlugCredentials authenticates the host's end: the listener has to be the process pid() and to run as our user. The
// function is called during each handshake, since the process is started after the options are built.
func PlugCredentials(pid func() int) credentials.TransportCredentials {
	return peerCredentials{check: func(p Peer) error { return expect(p, pid()) }}
}

// HostCredentials authenticates the plugin's end: the caller has to be our parent process and to run as our user. The
// parent is read once, here, so that a process that adopts us later is not taken for it.
func HostCredentials() credentials.TransportCredentials {
	parent := os.Getppid()
	return peerCredentials{check: func(p Peer) error { return expect(p, parent) }}
}

// UserCredentials authenticates any process of our user; for debugging sessions, where neither end is the other's child.
func UserCredentials() credentials.TransportCredentials {
	return peerCredentials{check: func(p Peer) error { return expect(p, p.PID) }}
}

func expect(p Peer, pid int) error {
	if p.UID != os.Getuid() {
		return fmt.Errorf("%w: it runs as user %d, this process as %d", ErrForeignPeer, p.UID, os.Getuid())
	}
	if p.PID != pid {
		return fmt.Errorf("%w: it is process %d, expected was %d (a wrapper script has to exec the plugin)", ErrForeignPeer, p.PID, pid)
	}
	return nil
}

// peerCredentials is a transport security that costs nothing per byte: it asks the kernel once per connection who is at
// the other end. Where the kernel cannot tell, the 0700 directory around the socket is the only guard.
type peerCredentials struct {
	check func(Peer) error
}

// PeerInfo is the credentials.AuthInfo of a connection between host and plugin.
type PeerInfo struct {
	credentials.CommonAuthInfo
	Peer Peer
}

// AuthType implements credentials.AuthInfo.
func (PeerInfo) AuthType() string { return "peercred" }

func (c peerCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.handshake(conn)
}

func (c peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c.handshake(conn)
}

func (c peerCredentials) handshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	peer, err := PeerOf(conn)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
	case err != nil:
		return nil, nil, err
	default:
		if err := c.check(peer); err != nil {
			return nil, nil, err
		}
	}
	level := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return conn, PeerInfo{CommonAuthInfo: level, Peer: peer}, nil
}

func (c peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

func (c peerCredentials) OverrideServerName(string) error { return nil }

// PeerOf asks the kernel for the process at the other end of a Unix socket. The error wraps errors.ErrUnsupported on
// systems that cannot tell.
func PeerOf(conn net.Conn) (Peer, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return Peer{}, fmt.Errorf("plugin: a %T has no peer credentials; only Unix sockets do", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("plugin: peer credentials: %w", err)
	}
	var peer Peer
	var peerErr error
	if err := raw.Control(func(fd uintptr) { peer, peerErr = peerOf(int(fd)) }); err != nil {
		return Peer{}, fmt.Errorf("plugin: peer credentials: %w", err)
	}
	if peerErr != nil {
		return Peer{}, fmt.Errorf("plugin: peer credentials: %w", peerErr)
	}
	return peer, nil
}
