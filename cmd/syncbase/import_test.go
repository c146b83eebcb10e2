package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// TestInterruptedKnowsWhatIsStored interrupts commands whose rows are stored although the daemon's answer is still on its way, and
// wants them to wait for it; and, where the connection breaks instead, to claim nothing.
func TestInterruptedKnowsWhatIsStored(t *testing.T) {
	late, never := (*slowAnswers).release, (*slowAnswers).cut
	for name, test := range map[string]struct {
		args []string
		line string
		end  func(*slowAnswers)
		want string
	}{
		"import answered late": {[]string{"import", "d", "c", "-"}, `{"key":"%d","value":1}`, late, `^syncbase: interrupted; 1000 rows are stored, go on with --skip 1000\n$`},
		"import not answered":  {[]string{"import", "d", "c", "-"}, `{"key":"%d","value":1}`, never, `^syncbase: .*; nothing is known to be stored\n$`},
		"batch answered late":  {[]string{"batch", "d"}, `{"op":"put","collection":"c","key":"%d","value":1}`, late, `^applied 1,?000 operations\n$`},
		"batch not answered":   {[]string{"batch", "d"}, `{"op":"put","collection":"c","key":"%d","value":1}`, never, `^syncbase: interrupted; nobody has said whether the batch was applied\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			daemon := startDaemon(t)
			slow := delayAnswers(t, filepath.Join(daemon.data, "syncbase.sock"), filepath.Join(daemon.data, "..", "slow"))
			ctx, interrupt := context.WithCancel(t.Context())
			rows, feed := io.Pipe()
			var said bytes.Buffer // by one goroutine, which has ended when it is read
			a := &app{in: rows, out: &said, err: &said, getenv: os.Getenv}
			ended := make(chan int, 1)
			go func() { ended <- a.run(ctx, append([]string{"--address", "unix://" + slow.path}, test.args...)) }()
			for i := range importRows {
				fmt.Fprintf(feed, test.line+"\n", i)
			}
			if test.args[0] == "batch" { // which begins when it has everything
				_ = feed.Close()
			}
			for exec.Command(daemon.bin, "--data", daemon.data, "get", "d", "c", fmt.Sprint(importRows-1)).Run() != nil {
				time.Sleep(10 * time.Millisecond)
			}
			interrupt()
			select {
			case <-ended:
				t.Fatalf("it ended without the answer: %s", &said)
			case <-time.After(100 * time.Millisecond): // a command that does not wait has ended by then
			}
			test.end(slow)
			<-ended
			_ = feed.Close()
			if !regexp.MustCompile(test.want).MatchString(said.String()) {
				t.Errorf("it said %q, want %q", &said, test.want)
			}
		})
	}
}

// slowAnswers stands before a daemon's socket, and keeps its answers back as soon as it was sent much.
type slowAnswers struct {
	path string
	// held is closed when answers are kept back, freed when they no longer are.
	held, freed chan struct{}
	hold, free  sync.Once
	// mu guards conns.
	mu    sync.Mutex
	conns []net.Conn
}

// delayAnswers keeps answers back once a connection has sent 10,000 bytes: then a batch of rows is on its way.
func delayAnswers(t *testing.T, socket, path string) *slowAnswers {
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &slowAnswers{path: path, held: make(chan struct{}), freed: make(chan struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				_ = near.Close()
				continue
			}
			s.mu.Lock()
			s.conns = append(s.conns, near, far)
			s.mu.Unlock()
			running.Go(func() { s.ask(far, near) })
			running.Go(func() { s.answer(near, far) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		s.cut()
		running.Wait()
	})
	return s
}

func (s *slowAnswers) ask(far, near net.Conn) {
	buf, sent := make([]byte, 4096), 0
	for {
		n, err := near.Read(buf)
		if sent += n; sent > 10_000 {
			s.hold.Do(func() { close(s.held) })
		}
		if _, failed := far.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (s *slowAnswers) answer(near, far net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := far.Read(buf)
		select {
		case <-s.held:
			<-s.freed
		default:
		}
		if _, failed := near.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (s *slowAnswers) release() { s.free.Do(func() { close(s.freed) }) }

// cut breaks every connection.
func (s *slowAnswers) cut() {
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.release()
}
