package identity

import (
	"fmt"
	"net"
	"syscall"
)

// peerUID asks the kernel which user runs the process at the other end of a Unix socket. The error wraps
// errors.ErrUnsupported on systems that cannot tell.
func peerUID(conn net.Conn) (int, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok || conn.LocalAddr().Network() != "unix" {
		return 0, fmt.Errorf("a %T is no Unix socket", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var uid int
	var uidErr error
	if err := raw.Control(func(fd uintptr) { uid, uidErr = socketUID(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, uidErr
}
