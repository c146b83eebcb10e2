package hosttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pair is two hosts of a network, and a connection that a made to b.
type pair struct {
	t          *testing.T
	n          *network
	there      way
	back       way
	l          net.Listener
	near, far  net.Conn
	heardAfter time.Duration
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, n: newNetwork(1), there: way{"a", "b"}, back: way{"b", "a"}}
	var err error
	if p.l, err = p.n.listen("b:1"); err != nil {
		t.Fatal(err)
	}
	p.near, p.far = p.connect()
	t.Cleanup(func() {
		p.n.reset(func(way) bool { return true })
		p.l.Close()
		synctest.Wait()
	})
	return p
}

func (p *pair) connect() (near, far net.Conn) {
	p.t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := p.l.Accept()
		accepted <- c
	}()
	near, err := p.n.dial(context.Background(), "a", "b:1")
	if err != nil {
		p.t.Fatal(err)
	}
	return near, <-accepted
}

// say writes, and hear reads that much; both end the test when they cannot.
func (p *pair) say(c net.Conn, text string) {
	p.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// hear wants to read the text after a while, and takes note after which.
func (p *pair) hear(c net.Conn, text string) {
	p.t.Helper()
	began, got := time.Now(), make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		p.t.Fatalf("heard %q, %v; want %q", got, err, text)
	}
	p.heardAfter = time.Since(began)
}

// ends wants the connection to end after a time.
func (p *pair) ends(c net.Conn, after time.Duration) {
	p.t.Helper()
	began := time.Now()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		p.t.Fatalf("heard %d bytes more", n)
	}
	if d := time.Since(began); d != after {
		p.t.Errorf("the connection ended after %s, want %s", d, after)
	}
}

// lasts wants the connection neither to end nor to yield anything for a time.
func (p *pair) lasts(c net.Conn, d time.Duration) {
	p.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(d)); err != nil {
		p.t.Fatal(err)
	}
	var timeout net.Error
	if n, err := c.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		p.t.Fatalf("heard %d bytes, %v", n, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) set(w way, change func(*condition)) { p.n.set(w, change) }

// What was sent before a connection was closed arrives, and only then the other side hears of it; over a way that is cut it hears
// nothing.
func TestCloseFollowsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.set(p.there, func(c *condition) { c.cut = true })
		p.say(p.near, "early")
		p.near.Close()
		p.lasts(p.far, time.Minute)
		p.say(p.far, "into nowhere")
		p.set(p.there, func(c *condition) { c.cut = false })
		p.hear(p.far, "early")
		p.ends(p.far, 0)
	})
}

// Of a host without power nobody hears anything, and what it had sent is lost with it. When it is back, it tells who goes on as if
// nothing had happened.
func TestPowerEndsWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.set(p.there, func(c *condition) { c.cut = true })
		p.say(p.near, "lost")
		p.n.unplug("a", true)
		p.ends(p.near, 0)
		p.set(p.there, func(c *condition) { c.cut = false })
		p.say(p.far, "is anybody there?")
		p.lasts(p.far, time.Hour)
		p.n.unplug("a", false)
		p.lasts(p.far, time.Hour)
		p.say(p.far, "again?")
		p.ends(p.far, 2*time.Millisecond)
	})
}

// What is lost arrives all the same, in order and late; where everything is lost the connection breaks, for both sides.
func TestLossDelaysAndBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.set(p.there, func(c *condition) { c.loss = 0.3 })
		var said bytes.Buffer
		for i := range 200 {
			text := string([]byte{byte(i), byte(i >> 8), '.'})
			said.WriteString(text)
			p.say(p.near, text)
		}
		p.hear(p.far, said.String())
		if p.heardAfter < firstRetry || p.heardAfter > time.Minute {
			t.Errorf("it took %s", p.heardAfter)
		}
		p.set(p.there, func(c *condition) { c.loss = 1 })
		p.say(p.near, "gone")
		p.ends(p.far, (firstRetry+2*time.Millisecond)*(1<<maxRetries-1)+time.Millisecond)
		p.ends(p.near, 0)
		if _, err := p.n.dial(context.Background(), "a", "b:1"); err == nil {
			t.Error("a connection was made although everything is lost")
		}
	})
}

// Who is stranded makes a new connection, and is heard over that before what it said over the old one.
func TestStrandedConnectionIsHeardLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		p.n.strand(p.there, time.Second, time.Minute)
		p.say(p.near, "old")
		p.say(p.far, "answer")
		p.hear(p.near, "answer")
		p.ends(p.near, time.Second-time.Millisecond)
		near, far := p.connect()
		p.say(near, "new")
		p.hear(far, "new")
		p.say(p.far, "more") // is answered as late
		p.hear(p.far, "old")
		if p.heardAfter < 59*time.Second {
			t.Errorf("what was sent over the old connection came after %s", p.heardAfter)
		}
		p.ends(p.far, 0)
	})
}
