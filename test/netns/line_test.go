package netns

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// echo answers every connection with what it says, for the length of the test.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(conn, conn) // ends as the test wants it to
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// ask says something at once and returns what comes back until the other side has said all, and how long that took.
func ask(t *testing.T, conn net.Conn, size int) (int, time.Duration) {
	t.Helper()
	began := time.Now()
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.Copy(io.Discard, conn)
	if err != nil {
		t.Fatal(err)
	}
	return int(got), time.Since(began)
}

// TestLine holds that a line is as bad as it was told to be, and no worse than that: nothing is lost on it.
func TestLine(t *testing.T) {
	line := NewLine(t, "127.0.0.1", echo(t))
	for _, c := range []struct {
		name  string
		q     Quality
		size  int
		least time.Duration
	}{
		{"good", Quality{}, 1 << 20, 0},
		{"late", Quality{Delay: 50 * time.Millisecond}, 1000, 100 * time.Millisecond},
		{"slow", Quality{Rate: 256 << 10}, 64 << 10, 250 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			line.Set(c.q)
			conn, err := net.Dial("tcp", line.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			before := line.Carried()
			got, took := ask(t, conn, c.size)
			if got != c.size || took < c.least {
				t.Errorf("%d bytes came back after %v, want %d after %v or later", got, took, c.size, c.least)
			}
			if carried := line.Carried() - before; carried != 2*int64(c.size) {
				t.Errorf("the line says it carried %d bytes", carried)
			}
		})
	}
}

// TestLineReset ends a connection under way as a crash in between does: not by an end of file.
func TestLineReset(t *testing.T) {
	line := NewLine(t, "127.0.0.1", echo(t))
	conn, err := net.Dial("tcp", line.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	one := []byte{1}
	if _, err := conn.Write(one); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, one); err != nil {
		t.Fatal(err)
	}
	if n := line.Reset(); n != 1 {
		t.Errorf("%d connections were reset, want 1", n)
	}
	if _, err := conn.Read(one); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want a reset", err)
	}
}

// TestLineToNowhere refuses whoever calls.
func TestLineToNowhere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", NewLine(t, "127.0.0.1", gone).Address())
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read([]byte{0}); err == nil {
		t.Error("somebody answered")
	}
}
