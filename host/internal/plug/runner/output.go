package runner

import (
	"bufio"
	"io"
	"slices"
	"sync"
)

const (
	tailLines   = 64
	maxLine     = 16 << 10 // what is kept of one line
	tailLineMax = 1 << 10  // what is kept of one line for the tail
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

// Tail returns the last lines, oldest first.
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
	o.tail = append(o.tail, string(line))
}

// Copy takes lines from r until it ends. Longer lines than 16 KiB lose their end.
func (o *Output) Copy(r io.Reader) {
	lines := newLineReader(r)
	for {
		line, err := lines.next()
		o.Line(line)
		if err != nil {
			return
		}
	}
}

// Writer returns a writer that takes whole lines and partial ones; a partial line is completed by the next write or cut
// at 16 KiB. Every stream needs its own.
func (o *Output) Writer() io.Writer { return &lineWriter{out: o} }

type lineWriter struct {
	out *Output

	mu      sync.Mutex // guards partial
	partial []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range p {
		if b == '\n' || len(w.partial) == maxLine {
			w.out.Line(w.partial)
			w.partial = w.partial[:0]
		}
		if b != '\n' {
			w.partial = append(w.partial, b)
		}
	}
	return len(p), nil
}

// lineReader splits a stream into lines in bounded memory.
type lineReader struct {
	r    *bufio.Reader
	line []byte
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 4<<10)}
}

// next returns the next line, cut at maxLine, valid until the next call. A last line without an end comes with the error.
func (l *lineReader) next() ([]byte, error) {
	l.line = l.line[:0]
	for {
		part, more, err := l.r.ReadLine()
		if room := maxLine - len(l.line); room > 0 {
			l.line = append(l.line, part[:min(room, len(part))]...)
		}
		if err != nil || !more {
			return l.line, err
		}
	}
}
