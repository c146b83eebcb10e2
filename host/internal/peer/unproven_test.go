package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// Whoever opens connections and proves nothing pushes out nobody but others that have proved nothing, the oldest of them first.
func TestGuard(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	guard := Guard(l)
	t.Cleanup(func() { _ = guard.Close() })
	open := func() (there, here net.Conn) {
		t.Helper()
		there, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = there.Close() })
		here, err = guard.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = here.Close() })
		return there, here
	}
	known, knownHere := open()
	proven(knownHere)
	var silent []net.Conn
	for range maxUnproven + 3 {
		conn, _ := open()
		silent = append(silent, conn)
	}
	for i, conn := range silent[:3] {
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF && !isReset(err) {
			t.Errorf("connection %d is open: %v", i, err)
		}
	}
	for i, conn := range append(silent[3:], known) {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d of those that may stay is closed: %v", i, err)
		}
	}
	for range 2 * maxUnproven { // a connection that ended counts no more
		conn, here := open()
		_, _ = conn.Close(), here.Close()
	}
	if _, err := silent[len(silent)-1].Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection was closed for others that had ended: %v", err)
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}
