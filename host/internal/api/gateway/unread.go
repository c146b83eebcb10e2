package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// What cannot be read as a request never comes to a handler: the HTTP server of the library answers it in plain text and
// leaves no say in that. On connections without TLS that answer is put into our form on its way out.

// plainHeaders are those of the library's answer, behind a status line and before a text.
var plainHeaders = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// maxStatusLine bounds the status line of such an answer.
const maxStatusLine = 256

// Write sends what the server says. The library's own answer comes in one piece, while no request is being answered, so
// nothing that a handler writes is taken for it.
func (c *limitedConn) Write(p []byte) (int, error) {
	if !c.answering.Load() {
		if answer := unread(p); answer != nil {
			_, err := c.Conn.Write(answer)
			return len(p), err
		}
	}
	return c.Conn.Write(p)
}

// connState notes the end of a request.
func connState(conn net.Conn, state http.ConnState) {
	if c, ok := conn.(*limitedConn); ok && state == http.StateIdle {
		c.answering.Store(false)
	}
}

// unread is our form of what the library says of something that it cannot read, nil for anything else.
func unread(p []byte) []byte {
	line := bytes.Index(p[:min(len(p), maxStatusLine)], plainHeaders[:2])
	if line < 0 || !bytes.HasPrefix(p, []byte("HTTP/1.1 ")) || !bytes.HasPrefix(p[line:], plainHeaders) {
		return nil
	}
	status, err := strconv.Atoi(string(p[len("HTTP/1.1 ") : len("HTTP/1.1 ")+3]))
	if err != nil {
		return nil
	}
	f := failure{Code: "INVALID_ARGUMENT", Reason: "INVALID", Message: "the request cannot be read; is there a % in the path that begins no escape, such as %2F?"}
	switch text := string(p[line+len(plainHeaders):]); status {
	case http.StatusRequestHeaderFieldsTooLarge:
		f = failure{Code: "RESOURCE_EXHAUSTED", Reason: "HEADERS_TOO_LARGE", Message: fmt.Sprintf("the headers have more than %d bytes", maxHeaderBytes)}
	case http.StatusNotImplemented:
		f = failure{Code: "UNIMPLEMENTED", Reason: "TRANSFER_ENCODING", Message: "a transfer encoding other than chunked"}
	default:
		if plain := fmt.Sprintf("%d %s", status, http.StatusText(status)); text != plain {
			f.Message = "the request cannot be read: " + text
		}
	}
	body, _ := json.Marshal(f) // texts
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n",
		status, http.StatusText(status), jsonType, len(body)+1, body)
}
