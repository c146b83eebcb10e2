package runner

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
)

const (
	tailLines   = 64
	maxLine     = 8 << 10 // what is kept of one line
	tailLineMax = 1 << 10 // what is kept of one line for the tail
)

// Output receives every line that a plugin writes and remembers the last ones. Safe for concurrent use.
type Output struct {
	sink func(line []byte)

	mu   sync.Mutex // guards the fields below
	tail []string
}

// NewOutput returns an Output that hands each line to sink, which must not keep it. Calls of sink do not overlap for
// lines of one stream. A nil sink is allowed.
func NewOutput(sink func(line []byte)) *Output {
	return &Output{sink: sink}
}

// Tail returns the last lines, oldest first, as texts: bytes that are none are replaced.
func (o *Output) Tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.tail)
}

// Line takes one line without its end.
func (o *Output) Line(line []byte) {
	if len(line) == 0 {
		return
	}
	o.remember(line)
	if o.sink != nil {
		o.sink(line)
	}
}

func (o *Output) remember(line []byte) {
	if len(line) > tailLineMax {
		line = line[:tailLineMax]
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.tail) == tailLines {
		o.tail = append(o.tail[:0], o.tail[1:]...)
	}
	o.tail = append(o.tail, strings.ToValidUTF8(string(line), "?"))
}

// Copy takes lines from r until it ends.
func (o *Output) Copy(r io.Reader) {
	w := &lineWriter{out: o}
	_, _ = io.Copy(w, r) // an error is the end of r
	w.flush()
}

// Writer returns a writer that takes lines in any pieces. Every stream needs its own.
func (o *Output) Writer() io.Writer { return &lineWriter{out: o} }

// lineWriter cuts a stream into lines. Of a longer line than maxLine it passes on the beginning, as soon as it has it.
type lineWriter struct {
	out *Output

	mu   sync.Mutex // guards the fields below
	line []byte
	skip bool // the rest of a long line is being dropped
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		piece, after, ended := bytes.Cut(rest, []byte("\n"))
		w.add(piece)
		if ended {
			w.pass()
			w.skip = false
		}
		rest = after
	}
	return len(p), nil
}

func (w *lineWriter) add(piece []byte) {
	if w.skip {
		return
	}
	w.line = append(w.line, piece[:min(len(piece), maxLine-len(w.line))]...)
	if len(w.line) == maxLine {
		w.pass()
		w.skip = true
	}
}

func (w *lineWriter) pass() {
	w.out.Line(w.line)
	w.line = w.line[:0]
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass()
}
