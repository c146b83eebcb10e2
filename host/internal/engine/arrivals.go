package engine

import (
	"context"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// finishLimit is for how long after the end of a pull what had arrived by then is still applied.
const finishLimit = 2 * time.Second

// arrivals reads a pull ahead of the applying side. What has arrived whole when the connection breaks is handed on all the same, so
// that it need not be sent again.
type arrivals struct {
	stream *metered
	// messages ends when the stream does. They are as many as may be applied in one step.
	messages chan delta.Message
	// over is closed by who applies, and lets the reading end.
	over chan struct{}
	// err is why messages ended; to be read after that.
	err error
	// done is closed when nothing is read any more.
	done chan struct{}
}

// readAhead begins to read. The caller must call end.
func readAhead(stream *metered) *arrivals {
	a := &arrivals{
		stream: stream, messages: make(chan delta.Message, stepBytes/sendBytes),
		over: make(chan struct{}), done: make(chan struct{}),
	}
	go a.read()
	return a
}

func (a *arrivals) read() {
	defer close(a.done)
	defer close(a.messages)
	for {
		m, err := a.stream.Recv()
		if err != nil {
			a.err = err
			return
		}
		select {
		case a.messages <- m:
		case <-a.over:
			a.err = context.Canceled
			return
		}
	}
}

// await returns the next message, and gives credit that is due meanwhile. It reports false when there are no more messages.
func (a *arrivals) await() (delta.Message, bool, error) {
	if due := a.stream.due(); due >= 0 {
		timer := time.NewTimer(due)
		defer timer.Stop()
		select {
		case m, open := <-a.messages:
			return m, open, nil
		case <-timer.C:
		}
		if err := a.stream.settle(); err != nil {
			return delta.Message{}, false, err
		}
	}
	m, open := <-a.messages
	return m, open, nil
}

// end closes the stream and waits until nothing is read of it any more. It returns why the messages ended.
func (a *arrivals) end() error {
	close(a.over)
	a.stream.Close()
	<-a.done
	a.stream.free()
	return a.err
}

// ending decides whether what has arrived is still applied after the end of a pull: if it was cut off, and not ended for a reason,
// and only for a while.
type ending struct {
	ctx context.Context // of the pull
	// asFor reports whether what is pulled is still what it was asked for.
	asFor func() bool
	since time.Time
}

// goOn reports whether another step may be begun.
func (e *ending) goOn() bool {
	if e.ctx.Err() == nil {
		return true
	}
	if e.since.IsZero() {
		e.since = time.Now()
	}
	return time.Since(e.since) < finishLimit && e.asFor()
}
