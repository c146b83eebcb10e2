package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/syncbase/syncbase/sdk/api/node/v1/nodehttp"
)

// face is a kind of path that is answered by hand.
type face int

const (
	// faceNone is a path of the generated gateway, or none at all.
	faceNone face = iota
	// faceDocument is /openapi.json.
	faceDocument
	// faceRows is /v1/db/D/collections/C/rows.
	faceRows
	// faceRow is /v1/db/D/collections/C/rows/K; K is all that follows, slashes too.
	faceRow
	// faceWatch is /v1/db/D/watch.
	faceWatch
	// faceBlobs is /v1/db/D/blobs.
	faceBlobs
	// faceBlob is /v1/db/D/blobs/R.
	faceBlob
)

// place is what a path names.
type place struct {
	face                           face
	database, collection, key, ref string
	// path is the path as the generated gateway wants it: everything that is a name is one segment.
	path string
}

// parsePath reads a path as it was sent, with its escapes. What is between two slashes is unescaped as a whole, so a name
// may hold anything; a key of a row may hold slashes without escapes, too.
func parsePath(escaped string) (place, error) {
	p := place{path: escaped}
	if !strings.HasPrefix(escaped, "/") {
		return p, invalid(fmt.Sprintf("the path %q does not begin with a slash", escaped))
	}
	raw := strings.Split(escaped[1:], "/")
	parts := make([]string, len(raw))
	for i, segment := range raw {
		text, err := url.PathUnescape(segment)
		if err != nil || !utf8.ValidString(text) {
			return p, invalid(fmt.Sprintf("in the path, %q is no text in UTF-8 with escapes such as %%2F", segment))
		}
		parts[i] = text
	}
	if escaped == "/openapi.json" {
		p.face = faceDocument
	}
	if len(parts) < 4 || parts[0] != "v1" || parts[1] != "db" {
		return p, nil
	}
	p.database = parts[2]
	switch rest := parts[3:]; {
	case len(rest) == 1 && rest[0] == "watch":
		p.face = faceWatch
	case len(rest) == 1 && rest[0] == "blobs":
		p.face = faceBlobs
	case len(rest) == 2 && rest[0] == "blobs":
		p.face, p.ref = faceBlob, rest[1]
	case len(rest) >= 3 && rest[0] == "collections":
		p.inCollection(raw, parts)
	}
	return p, nil
}

// inCollection reads /v1/db/D/collections/C/ and what follows.
func (p *place) inCollection(raw, parts []string) {
	const head = 6 // segments before the key
	p.collection = parts[4]
	switch {
	case parts[5] == "rows" && len(parts) == head:
		p.face = faceRows
	case parts[5] == "rows":
		p.face, p.key = faceRow, strings.Join(parts[head:], "/")
	case parts[5] == "history" && len(parts) > head:
		key := url.PathEscape(strings.Join(parts[head:], "/"))
		p.path = "/" + strings.Join(append(slices.Clone(raw[:head]), key), "/")
	}
}

// route answers a request of somebody who has proven who it is.
func (g *Gateway) route(w *paced, r *http.Request) {
	p, err := parsePath(r.URL.EscapedPath())
	if err == nil {
		err = understood(w, r, p)
	}
	if err != nil {
		refuse(w, r, err)
		return
	}
	if p.face == faceBlobs && r.Method != http.MethodPost {
		p.face = faceNone // a list, as generated
	}
	answer, methods := g.face(p)
	if answer == nil {
		g.generated(w, r, p)
		return
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		refuse(w, r, noMethod(r))
		return
	}
	if err := answer(w, r, p); err != nil {
		refuse(w, r, err)
	}
}

// handler answers a request. An error is told to the client; after it has begun to answer it returns none.
type handler func(w *paced, r *http.Request, p place) error

func (g *Gateway) face(p place) (answer handler, methods []string) {
	switch p.face {
	case faceDocument:
		return serveDocument, []string{"GET", "HEAD"}
	case faceRows:
		return g.serveRows, []string{"GET", "DELETE"}
	case faceRow:
		return g.serveRow, []string{"GET", "HEAD", "PUT", "DELETE"}
	case faceWatch:
		return g.serveWatch, []string{"GET"}
	case faceBlobs:
		return g.putBlob, []string{"POST"}
	case faceBlob:
		return g.getBlob, []string{"GET", "HEAD"}
	default:
		return nil, nil
	}
}

// generated hands a request to the generated gateway, which wants to be told of paths with their escapes, and of a body
// that is known to be of a bearable size.
func (g *Gateway) generated(w *paced, r *http.Request, p place) {
	q, err := anyParameters(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	body, done, err := g.readBody(w, r, g.opts.MaxBody)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer done()
	r = r.WithContext(context.WithValue(r.Context(), queryKey{}, q))
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Form, r.PostForm = q.values, url.Values{} // strict takes what it reads out of them
	u := *r.URL
	u.RawPath = p.path
	r.URL = &u
	// What the generated gateway makes metadata of whatever it is told.
	r.Host, r.RemoteAddr = "", ""
	for _, name := range []string{"Grpc-Timeout", "X-Forwarded-For", "X-Forwarded-Host"} {
		r.Header.Del(name)
	}
	// The generated gateway names the type with the first line, so a list without one would have none.
	w.Header().Set("Content-Type", lineType)
	g.calls.ServeHTTP(w, r)
}

func noMethod(r *http.Request) *failure {
	return &failure{Code: "UNIMPLEMENTED", Reason: "METHOD", Message: fmt.Sprintf("%s does not go with %s; see /openapi.json", r.Method, r.URL.EscapedPath()), status: http.StatusMethodNotAllowed}
}

func noPath(r *http.Request) *failure {
	return &failure{Code: "NOT_FOUND", Reason: "NO_PATH", Message: fmt.Sprintf("there is nothing at %s; see /openapi.json", r.URL.EscapedPath())}
}

func serveDocument(w *paced, r *http.Request, _ place) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(nodehttp.OpenAPI)))
	_, _ = w.Write(nodehttp.OpenAPI)
	return nil
}

// query is the parameters of a request. The first one that makes no sense is kept in err.
type query struct {
	values url.Values
	err    error
}

// queryKey is where the context of a call has the query of its request, without what the call has taken.
type queryKey struct{}

// taken refuses parameters that no part of a call asked for.
func taken(ctx context.Context) error {
	q, _ := ctx.Value(queryKey{}).(*query)
	if q == nil || len(q.values) == 0 {
		return nil
	}
	return noParameter(slices.Min(slices.Collect(maps.Keys(q.values))))
}

// parameters reads the query; every parameter may stand there once. known lists those that there may be.
func parameters(r *http.Request, known ...string) (*query, error) {
	q, err := anyParameters(r)
	if err != nil {
		return nil, err
	}
	for name := range q.values {
		if !slices.Contains(known, name) {
			return nil, noParameter(name, known...)
		}
	}
	return q, nil
}

func noParameter(name string, known ...string) error {
	text := fmt.Sprintf("there is no parameter %q here", name)
	if len(known) > 0 {
		text += "; there are " + strings.Join(known, ", ")
	}
	return invalid(text)
}

// anyParameters is parameters of which the names are for somebody else to know.
func anyParameters(r *http.Request) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query cannot be read: " + err.Error())
	}
	for name, list := range values {
		switch {
		case len(list) > 1:
			return nil, invalid(fmt.Sprintf("the parameter %q is there %d times", name, len(list)))
		case !utf8.ValidString(name) || !utf8.ValidString(list[0]):
			return nil, invalid(fmt.Sprintf("the parameter %q is no text in UTF-8", name))
		}
	}
	return &query{values: values}, nil
}

func (q *query) text(name string) string { return q.values.Get(name) }

func (q *query) number(name string) uint64 {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && q.err == nil {
		q.err = invalid(fmt.Sprintf("the parameter %s is %q, want a number", name, text))
	}
	return n
}

func (q *query) flag(name string) bool {
	switch text := q.text(name); text {
	case "", "false":
		return false
	case "true":
		return true
	default:
		if q.err == nil {
			q.err = invalid(fmt.Sprintf("the parameter %s is %q, want true or false", name, text))
		}
		return false
	}
}
