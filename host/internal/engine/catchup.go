package engine

import (
	"context"
	"sync"
	"time"
)

const (
	// catchUpSlice is how long one peer may send what was missed before another takes over.
	catchUpSlice = 10 * time.Second
	// catchUpSilence is how long nothing may arrive from it before another takes over.
	catchUpSilence = 2 * time.Second
)

// catchUp lets pulls of one database that have much to fetch take turns: each begins with what the ones before it have
// brought, so that several peers that hold the same send it once between them and not once each. A pull that has
// caught up is open beside all others.
//
// Safe for concurrent use.
type catchUp struct {
	// mu guards the fields below it.
	mu sync.Mutex
	// line are those who have or want the turn; the first has it.
	line []*turn
}

// turn is a place in the line.
type turn struct {
	of *catchUp
	// mine is closed when the turn begins.
	mine chan struct{}
	// over is closed when the turn is to be given to the next in line.
	over chan struct{}
	// Guarded by of.mu: when the turn began and when it last showed life.
	began, heard time.Time
}

// enter waits for the turn, until ctx ends. The caller must leave, whether or not it waited in vain.
func (c *catchUp) enter(ctx context.Context) *turn {
	t := &turn{of: c, mine: make(chan struct{}), over: make(chan struct{})}
	c.mu.Lock()
	c.line = append(c.line, t)
	if len(c.line) == 1 {
		t.begin()
	}
	c.mu.Unlock()
	for {
		wait := c.patience()
		timer := time.NewTimer(wait)
		select {
		case <-t.mine:
			timer.Stop()
			return t
		case <-ctx.Done():
			timer.Stop()
			return t
		case <-timer.C:
			c.relieve()
		}
	}
}

// busy reports whether whoever enters has to wait.
func (c *catchUp) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.line) > 0
}

// begin starts the turn; the caller holds mu.
func (t *turn) begin() {
	t.began = time.Now()
	t.heard = t.began
	close(t.mine)
}

// patience is how long the present turn may last if nothing is heard of it.
func (c *catchUp) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) == 0 {
		return 0
	}
	return max(time.Millisecond, time.Until(c.line[0].end()))
}

func (t *turn) end() time.Time {
	silent, slice := t.heard.Add(catchUpSilence), t.began.Add(catchUpSlice)
	if silent.Before(slice) {
		return silent
	}
	return slice
}

// relieve ends the present turn if it is over.
func (c *catchUp) relieve() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.line) > 1 && !time.Now().Before(c.line[0].end()) {
		close(c.line[0].over)
		c.next()
	}
}

// next gives the turn to the next in line; the caller holds mu.
func (c *catchUp) next() {
	c.line = c.line[1:]
	if len(c.line) > 0 {
		c.line[0].begin()
	}
}

// alive says that something has arrived.
func (t *turn) alive() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.heard = time.Now()
}

// leave gives up the turn or the place in the line. Leaving again does nothing.
func (t *turn) leave() {
	c := t.of
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.line {
		if other != t {
			continue
		}
		if i == 0 {
			c.next()
		} else {
			c.line = append(c.line[:i:i], c.line[i+1:]...)
		}
		return
	}
}
