package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// screen is standard output. It remembers the first failure, so that no command ends well whose output was lost.
type screen struct {
	w   io.Writer
	err error
}

func (s *screen) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	var n int
	n, s.err = s.w.Write(p)
	return n, s.err
}

// offer writes what need not be read.
func offer(w io.Writer, text []byte) {
	if s, is := w.(*screen); is {
		w = s.w
	}
	_, _ = w.Write(text)
}

// readerGone reports that whoever read the output wants no more of it, as head does.
func readerGone(err error) bool { return errors.Is(err, syscall.EPIPE) }

// errInterrupted is what the person who typed Ctrl-C is told.
var errInterrupted = errors.New("interrupted")

// plainly calls by its name what ended a command that a signal ended.
func plainly(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, errInterrupted) || !errors.Is(err, context.Canceled) && !errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return errInterrupted
}

// patience is how long a command that is interrupted waits for the answer to what it has sent: only that tells what is stored.
const patience = 10 * time.Second

// outlasting returns a context that ends later than ctx, by patience.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(patience, end) })
	return later, func() { stop(); end() }
}

// advise adds what to do next to the error of a command that a signal ended, and leaves others alone.
func advise(ctx context.Context, err error, format string, args ...any) error {
	if err = plainly(ctx, err); errors.Is(err, errInterrupted) {
		return fmt.Errorf("%w; %s", err, fmt.Sprintf(format, args...))
	}
	return err
}

// interruptible gives what r gives until the context ends, even while a pipe or a terminal keeps its reader waiting. Nothing
// can end that read but the end of the process, which the goroutine is left to.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	if size(r) > 0 {
		return r // a file keeps nobody waiting
	}
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(context.Canceled) })
	return out
}
