package netns

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Line is a bad line: what is sent to its address comes to its target late, slowly or not at all. It stands in for what
// kernels without netem cannot do. Safe for concurrent use.
type Line struct {
	target   string
	listener net.Listener
	// ctx ends with the line, and all goroutines with it.
	ctx     context.Context
	running sync.WaitGroup
	carried atomic.Int64

	// mu guards what follows.
	mu      sync.Mutex
	quality Quality
	calls   map[*call]struct{}
}

// Quality says how bad a line is, each way. The zero value is a good line.
type Quality struct {
	Delay time.Duration
	// Rate is in bytes per second; 0 is no bound.
	Rate int
}

const (
	// lineChunk is what travels together, and lineDepth how many such may be under way in one direction.
	lineChunk, lineDepth = 4 << 10, 64
	// lineDialLimit is how long the target may take to be reached.
	lineDialLimit = 5 * time.Second
)

// NewLine lays a line for the length of the test, from a free port of the host to the target.
func NewLine(t *testing.T, host, target string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Line{target: target, listener: listener, ctx: ctx, calls: map[*call]struct{}{}}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		stop()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		l.running.Wait()
	})
	return l
}

// Address is where the line begins.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Carried is how many bytes have come through, both ways together.
func (l *Line) Carried() int64 { return l.carried.Load() }

// Set changes how bad the line is, for what is sent from now on.
func (l *Line) Set(q Quality) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quality = q
}

func (l *Line) now() Quality {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quality
}

// Reset ends every connection on the line as a crashed router does, and tells how many there were.
func (l *Line) Reset() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.calls {
		c.hangUp()
	}
	return len(l.calls)
}

func (l *Line) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.running.Go(func() { l.serve(conn.(*net.TCPConn)) })
	}
}

// call is one connection through a line.
type call struct {
	caller, callee *net.TCPConn
	hangUp         context.CancelFunc
}

// serve carries one connection until both sides have said all, one of them fails, or it is reset.
func (l *Line) serve(caller *net.TCPConn) {
	ctx, hangUp := context.WithCancel(l.ctx)
	defer hangUp()
	dialer := net.Dialer{Timeout: lineDialLimit}
	conn, err := dialer.DialContext(ctx, "tcp", l.target)
	if err != nil {
		reset(caller)
		return
	}
	c := &call{caller: caller, callee: conn.(*net.TCPConn), hangUp: hangUp}
	l.mu.Lock()
	l.calls[c] = struct{}{}
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]*net.TCPConn{{c.caller, c.callee}, {c.callee, c.caller}} {
		queue := make(chan parcel, lineDepth) // closed by the one that fills it
		both.Go(func() { l.fill(ctx, way[0], queue, hangUp) })
		both.Go(func() { l.drain(ctx, queue, way[1], hangUp) })
	}
	broken := make(chan struct{})
	orderly := context.AfterFunc(ctx, func() { reset(c.caller, c.callee); close(broken) })
	both.Wait()
	if orderly() {
		_ = c.caller.Close()
		_ = c.callee.Close()
	} else {
		<-broken
	}
	l.mu.Lock()
	delete(l.calls, c)
	l.mu.Unlock()
}

// parcel is what travels together, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// fill puts what one side says on its way, no faster than the line.
func (l *Line) fill(ctx context.Context, from *net.TCPConn, queue chan<- parcel, hangUp func()) {
	defer close(queue)
	for {
		data := make([]byte, lineChunk)
		n, err := from.Read(data)
		if n > 0 {
			q, free := l.now(), time.Now()
			if q.Rate > 0 {
				free = free.Add(time.Duration(n) * time.Second / time.Duration(q.Rate))
			}
			select {
			case queue <- parcel{data[:n], free.Add(q.Delay)}:
			case <-ctx.Done():
				return
			}
			if !until(ctx, free) {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				hangUp()
			}
			return
		}
	}
}

// drain delivers what is on its way when it is due, and passes on that the one side has said all.
func (l *Line) drain(ctx context.Context, queue <-chan parcel, to *net.TCPConn, hangUp func()) {
	for p := range queue {
		if !until(ctx, p.due) {
			return
		}
		if _, err := to.Write(p.data); err != nil {
			hangUp()
			return
		}
		l.carried.Add(int64(len(p.data)))
	}
	if err := to.CloseWrite(); err != nil {
		hangUp()
	}
}

// until waits for a moment, and reports false if ctx ends before it.
func until(ctx context.Context, moment time.Time) bool {
	wait := time.Until(moment)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// reset closes connections as if there had never been any.
func reset(conns ...*net.TCPConn) {
	for _, c := range conns {
		_ = c.SetLinger(0) // fails on what is closed already
		_ = c.Close()
	}
}
