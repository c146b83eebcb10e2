package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

// handler answers requests that come through a door.
func (g *Gateway) handler(prove Prover) http.Handler {
	// slots has one value for every request at a time.
	slots := make(chan struct{}, g.opts.MaxRequests)
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !g.begin() {
			panic(http.ErrAbortHandler) // which cuts the connection
		}
		defer g.handlers.Done()
		if conn, plain := r.Context().Value(doorKey{}).(*limitedConn); plain {
			conn.answering.Store(true)
		}
		w, r := pace(out, r, g.opts.Patience)
		defer w.done()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			refuse(w, r, tooMany(g.opts.MaxRequests))
			return
		}
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "private, no-cache")
		if err := g.admit(r); err != nil {
			refuse(w, r, err)
			return
		}
		if g.share(w, r) {
			return
		}
		g.serve(w, r, prove)
	})
}

// serve finds out who asks and answers.
func (g *Gateway) serve(w *paced, r *http.Request, prove Prover) {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	proof, err := prove(r, conn)
	if err != nil {
		refuse(w, r, anonymous(err))
		return
	}
	channel, release, err := g.channels.acquire(proof)
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer release()
	r = r.WithContext(context.WithValue(r.Context(), channelKey{}, channel))
	r.Header = r.Header.Clone()
	// A proof is for this door alone, and none of a call.
	r.Header.Del("Authorization")
	g.route(w, r)
}

func tooMany(n int) *failure {
	return &failure{Code: "RESOURCE_EXHAUSTED", Reason: "TOO_MANY_REQUESTS", Message: fmt.Sprintf("%d requests are under way; try again later", n)}
}

func anonymous(err error) *failure {
	return &failure{Code: "UNAUTHENTICATED", Reason: "ANONYMOUS", Message: err.Error()}
}

// admit refuses what a page may have sent that is not allowed to. A page of an attacker whose name points here (rebinding)
// is known by the name it uses, one of an attacker elsewhere by its origin, which pages cannot hide: browsers
// say where a request comes from in Origin or, for images and the like, in Sec-Fetch-Site.
func (g *Gateway) admit(r *http.Request) error {
	if !g.mayAddress(r.Host) {
		return &failure{Code: "PERMISSION_DENIED", Reason: "HOST", Message: fmt.Sprintf("this daemon is not addressed as %q; use localhost or an IP address, or name the host under node.http.hosts", r.Host)}
	}
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin != "" && !slices.Contains(g.origins, lower(origin)) {
		return &failure{Code: "PERMISSION_DENIED", Reason: "ORIGIN", Message: fmt.Sprintf("pages of %s may not use this daemon; allow them under node.http.origins", origin)}
	}
	if origin == "" && site != "" && site != "none" && site != "same-origin" {
		return &failure{Code: "PERMISSION_DENIED", Reason: "ORIGIN", Message: "a page may use this daemon only by requests that tell its origin"}
	}
	return nil
}

// mayAddress tells whether a request may name its host so. An IP address is nobody's name.
func (g *Gateway) mayAddress(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(lower(name), "["), "]")
	return name == "localhost" || net.ParseIP(name) != nil || slices.Contains(g.hosts, name)
}

// share tells the browser what a page of an allowed origin may do, and answers its question before a request, if this is one.
func (g *Gateway) share(w http.ResponseWriter, r *http.Request) (answered bool) {
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Range, ETag, Last-Modified, "+typeHeader)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, If-Range, Last-Event-ID, Range, "+typeHeader)
	header.Set("Access-Control-Max-Age", "600")
	if r.Header.Get("Access-Control-Request-Private-Network") == "true" {
		header.Set("Access-Control-Allow-Private-Network", "true")
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// isOrigin tells whether a text is an origin as browsers write it.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != "" && u.String() == u.Scheme+"://"+u.Host && !strings.Contains(u.Host, "*")
}
