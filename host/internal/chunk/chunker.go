package chunk

import (
	"errors"
	"io"
)

// bufferSize is what a Chunker keeps in memory.
const bufferSize = 4 * MaxSize

// Chunker cuts a stream. It is not safe for concurrent use.
type Chunker struct {
	r io.Reader
	// buf[lo:hi] was read and not yet returned.
	buf    []byte
	lo, hi int
	// err is what ended the reading.
	err error
}

// NewChunker returns a chunker of r.
func NewChunker(r io.Reader) *Chunker {
	return &Chunker{r: r, buf: make([]byte, bufferSize)}
}

// Reset begins anew with r and keeps the buffer.
func (c *Chunker) Reset(r io.Reader) {
	*c = Chunker{r: r, buf: c.buf}
}

// Next returns the next chunk, which is valid until the next call. It returns io.EOF after the last one, and the reader's
// error as soon as the bytes before it no longer suffice to tell where a chunk ends.
func (c *Chunker) Next() ([]byte, error) {
	c.fill()
	if c.err != nil && !errors.Is(c.err, io.EOF) && c.hi-c.lo < MaxSize {
		return nil, c.err
	}
	if c.lo == c.hi {
		return nil, io.EOF
	}
	data := c.buf[c.lo:c.hi]
	n := Cut(data)
	c.lo += n
	return data[:n:n], nil
}

// fill reads until a whole chunk is certain to be in the buffer or the stream has ended.
func (c *Chunker) fill() {
	if c.hi-c.lo >= MaxSize || c.err != nil {
		return
	}
	c.hi = copy(c.buf, c.buf[c.lo:c.hi])
	c.lo = 0
	idle := 0
	for c.hi < MaxSize && c.err == nil {
		var n int
		n, c.err = c.r.Read(c.buf[c.hi:])
		c.hi += n
		if idle++; n > 0 {
			idle = 0
		}
		if idle == 100 && c.err == nil {
			c.err = io.ErrNoProgress
		}
	}
}
