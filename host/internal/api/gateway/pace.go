package gateway

import (
	"io"
	"net/http"
	"time"
)

// paced is the body of a request and the writer of its answer, with a deadline for each piece in place of one for all: a
// stream may last as long as it likes, and a call may be thought about, but nobody may stand still while the other waits.
// A deadline holds only while something is read or written, since one that passes ends a stream of HTTP/2.
type paced struct {
	http.ResponseWriter
	body     io.ReadCloser
	control  *http.ResponseController
	patience time.Duration
}

// pace begins a request. The caller calls done when everything has been written.
func pace(w http.ResponseWriter, r *http.Request, patience time.Duration) (*paced, *http.Request) {
	p := &paced{ResponseWriter: w, body: r.Body, control: http.NewResponseController(w), patience: patience}
	p.writes(time.Time{}) // of the request before, on a connection that is used again
	r2 := *r
	r2.Body = p
	return p, &r2
}

// done leaves a deadline for what is still in buffers.
func (p *paced) done() { p.writes(time.Now().Add(p.patience)) }

// writes sets the deadline for writing, reads the one for reading. A connection that knows none does without.
func (p *paced) writes(deadline time.Time) { _ = p.control.SetWriteDeadline(deadline) }
func (p *paced) reads(deadline time.Time)  { _ = p.control.SetReadDeadline(deadline) }

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *paced) Write(data []byte) (int, error) {
	p.writes(time.Now().Add(p.patience))
	defer p.writes(time.Time{})
	return p.ResponseWriter.Write(data)
}

func (p *paced) FlushError() error {
	p.writes(time.Now().Add(p.patience))
	defer p.writes(time.Time{})
	return p.control.Flush()
}

// Flush implements http.Flusher.
func (p *paced) Flush() { _ = p.FlushError() }

func (p *paced) Read(data []byte) (int, error) {
	p.reads(time.Now().Add(p.patience))
	defer p.reads(time.Time{})
	return p.body.Read(data)
}

func (p *paced) Close() error { return p.body.Close() }
