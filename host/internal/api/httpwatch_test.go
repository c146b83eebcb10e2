package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/api/gateway"
	"github.com/syncbase/syncbase/sdk/client"
)

// event is one server-sent event.
type event struct {
	name, id, data string
	// comment is set when it is none.
	comment bool
}

// eventStream reads events as a browser does.
type eventStream struct {
	t      testing.TB
	body   io.ReadCloser
	lines  *bufio.Reader
	lastID string
	// untilID makes next return what has nothing but an id, too.
	untilID bool
}

// events opens a watch; header has names and values in turn.
func (v *web) events(path string, header ...string) *eventStream {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), "GET", "http://localhost"+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		v.t.Fatalf("watch: %d %s", resp.StatusCode, body)
	}
	v.t.Cleanup(func() { _ = resp.Body.Close() })
	return &eventStream{t: v.t, body: resp.Body, lines: bufio.NewReader(resp.Body)}
}

// next returns the next event or comment, io.EOF after the last.
func (s *eventStream) next() (e event, err error) {
	empty := true
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return event{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && (e.comment || e.data != ""):
			return e, nil
		case line == "":
			if !empty && s.untilID {
				return e, nil
			}
			e, empty = event{}, true // by the standard, what has no data is no event, but its id counts
			continue
		case name == "retry":
			continue
		case name == "":
			e.comment = true
		case name == "event":
			e.name = value
		case name == "id":
			e.id, s.lastID = value, value
		case name == "data":
			e.data += value
		default:
			return e, fmt.Errorf("a line that is none of an event: %q", line)
		}
		empty = false
	}
}

// message is the data of an event, and a line of the other form.
type message struct {
	Changes []struct {
		Kind string
		Row  struct {
			Key   string
			Value json.RawMessage
		}
	}
	Continued bool
	Resume    string
	Error     *httpError
}

type httpError struct{ Code, Reason, Message, Resume string }

// batch returns the next batch that has changes, as text does.
func (s *eventStream) batch() string {
	s.t.Helper()
	var parts []string
	for {
		e, err := s.next()
		if err != nil || e.name != "" {
			s.t.Fatalf("the watch ended: %v %v", e, err)
		}
		if e.comment {
			continue
		}
		var m message
		if err := json.Unmarshal([]byte(e.data), &m); err != nil {
			s.t.Fatal(err)
		}
		for _, ch := range m.Changes {
			if ch.Kind == "CHANGE_KIND_DELETE" {
				parts = append(parts, "-"+ch.Row.Key)
			} else {
				parts = append(parts, "+"+ch.Row.Key+"="+string(ch.Row.Value))
			}
		}
		if m.Resume != e.id {
			s.t.Fatalf("the id %q of an event with the marker %q", e.id, m.Resume)
		}
		if !m.Continued && len(parts) > 0 {
			return strings.Join(parts, " ")
		}
	}
}

// TestHTTPWatchAcrossReconnections commits at random while the connection breaks at random, and connects again as browsers
// do. Every batch is seen once, in order.
func TestHTTPWatchAcrossReconnections(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	db := v.client().Database("db")
	there := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		const path = "/v1/db/db/watch?collection=c"
		s := v.events(path)
		defer func() { _ = s.body.Close() }()
		s.untilID = true
		if e, err := s.next(); err != nil || e.id == "" || e.data != "" {
			rt.Fatalf("the first event: %+v %v, want a marker", e, err)
		}
		s.untilID = false
		seen := 0
		var want []string
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				_ = s.body.Close()
				last := s.lastID
				s = v.events(path, "Last-Event-ID", last)
				s.lastID = last
				if len(want) > seen {
					seen = len(want) - v.unseen(rt, s, want[seen:])
				}
			case 1:
				if len(want) > seen {
					if got := s.batch(); got != want[seen] {
						rt.Fatalf("seen %s, want %s", got, want[seen])
					}
					seen++
				}
			default:
				if commit := randomCommit(t.Context(), rt, c, db, there); commit != "" {
					want = append(want, commit)
				}
			}
		}
		v.unseen(rt, s, want[seen:])
	})
}

// unseen reads what is wanted, and returns how many batches are left then: none.
func (v *web) unseen(rt *rapid.T, s *eventStream, want []string) int {
	var got []string
	for range want {
		got = append(got, s.batch())
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("-wanted +seen:\n%s", diff)
	}
	return 0
}

// TestHTTPWatchInitial begins with the present rows, and goes on from any of its markers.
func TestHTTPWatchInitial(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	var ops []client.Op
	for i := range 3000 { // several messages
		op, err := c.PutOp(fmt.Sprintf("k%04d", i), strings.Repeat("v", 50))
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	if _, err := v.client().Database("db").Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	s := v.events("/v1/db/db/watch?initial=true&prefix=k")
	first := s.batch()
	again := s.lastID
	if n := strings.Count(first, "+k"); n != 3000 {
		t.Errorf("%d rows in the initial state", n)
	}
	if _, err := c.Delete(t.Context(), "k0001"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*eventStream{s, v.events("/v1/db/db/watch?initial=true&prefix=k&resume=x", "Last-Event-ID", again)} {
		if got := s.batch(); got != "-k0001" {
			t.Errorf("after the initial state: %s", got)
		}
	}
}

// TestHTTPWatchInLines watches one message a line.
func TestHTTPWatchInLines(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://localhost/v1/db/db/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	next := func() (m message) {
		t.Helper()
		if err := lines.Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := next(); m.Resume == "" {
		t.Errorf("first line: %+v", m)
	}
	if _, err := c.Put(t.Context(), "k", json.RawMessage("{\"a\":\n1}")); err != nil {
		t.Fatal(err)
	}
	m := next()
	if len(m.Changes) != 1 || m.Changes[0].Row.Key != "k" {
		t.Errorf("second line: %+v", m)
	}
	v.server.Drain()
	if last := next(); last.Error == nil || last.Error.Code != "UNAVAILABLE" || last.Error.Resume != m.Resume {
		t.Errorf("last line: %+v", last.Error)
	}
	if err := lines.Decode(&m); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v", err)
	}
}

// TestHTTPWatchEnds tells why a watch ends, with the marker after which it could go on.
func TestHTTPWatchEnds(t *testing.T) {
	for what, x := range map[string]struct {
		end  func(v *web) error
		want string
	}{
		"destroyed": {func(v *web) error { return v.client().Database("db").Destroy(v.t.Context()) }, "FAILED_PRECONDITION DATABASE_DESTROYED"},
		"stopped":   {func(v *web) error { v.server.Drain(); return nil }, "UNAVAILABLE UNAVAILABLE"},
	} {
		t.Run(what, func(t *testing.T) {
			v := newWeb(t)
			c := v.collection("db", "c")
			s := v.events("/v1/db/db/watch")
			if _, err := c.Put(t.Context(), "k", 1); err != nil {
				t.Fatal(err)
			}
			s.batch()
			if err := x.end(v); err != nil {
				t.Fatal(err)
			}
			e, err := s.next()
			var f httpError
			if err != nil || e.name != "error" || json.Unmarshal([]byte(e.data), &f) != nil {
				t.Fatalf("%+v %v, want an event error", e, err)
			}
			if f.Code+" "+f.Reason != x.want || f.Resume != s.lastID || f.Resume == "" || f.Message == "" {
				t.Errorf("%+v, want %s and the marker %s", f, x.want, s.lastID)
			}
			if _, err := s.next(); !errors.Is(err, io.EOF) {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// TestHTTPWatchRefused answers with a status when a watch cannot begin.
func TestHTTPWatchRefused(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	for path, want := range map[string]string{
		"/v1/db/none/watch":              `404 "reason":"NO_DATABASE"`,
		"/v1/db/db/watch?collection=x":   `404 "reason":"NO_COLLECTION"`,
		"/v1/db/db/watch?resume=x":       `400 "reason":"MALFORMED_MARKER"`,
		"/v1/db/db/watch?initial=maybe":  `400 "reason":"INVALID"`,
		"/v1/db/db/watch?collections=c":  `400 "reason":"INVALID"`,
		"/v1/db/db/watch?prefix=%00%ff0": `400 "reason":"INVALID"`,
	} {
		r := v.do("GET", path, "")
		status, reason, _ := strings.Cut(want, " ")
		if fmt.Sprint(r.status) != status || !strings.Contains(r.body, reason) {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.body, want)
		}
	}
}

// TestHTTPHeartbeat shows that a watch without changes is alive.
func TestHTTPHeartbeat(t *testing.T) {
	v := newWebWith(t, gateway.Options{Heartbeat: time.Millisecond})
	v.collection("db", "c")
	s := v.events("/v1/db/db/watch")
	for beats := 0; beats < 3; {
		e, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if e.comment {
			beats++
		}
	}
}

// TestHTTPStuckWatcher cuts off a client that takes nothing, so that its place is free for others.
func TestHTTPStuckWatcher(t *testing.T) {
	v := newWebWith(t, gateway.Options{Patience: 50 * time.Millisecond, MaxRequests: 1})
	c := v.collection("db", "c")
	for i := range 20 {
		if _, err := c.Put(t.Context(), fmt.Sprint(i), strings.Repeat("v", 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("unix", v.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/db/db/watch?initial=true HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	begin := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(conn, begin); err != nil || string(begin) != "HTTP/1.1 200" {
		t.Fatalf("watch: %q %v", begin, err)
	}
	busy := false
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		r := v.do("GET", "/v1/status", "")
		busy = busy || r.status == 429 && strings.Contains(r.body, "TOO_MANY_REQUESTS")
		if busy && r.status == 200 {
			break
		}
	}
	if ctx.Err() != nil {
		t.Fatalf("busy: %v; the watch still has its place", busy)
	}
	data, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(data), `"key":"9"`) {
		t.Errorf("%d bytes came, %v; want some and a cut", len(data), err)
	}
}

// TestEventsFromTheStart wants a watch to say at once where it begins, in a way that applications do not see, so that a
// client which loses the connection before the first change misses nothing.
func TestEventsFromTheStart(t *testing.T) {
	for _, path := range []string{"/v1/db/db/watch", "/v1/db/db/watch?initial=true", "/v1/db/db/watch?collection=c"} {
		v := newWeb(t)
		c := v.collection("db", "c")
		s := v.events(path)
		s.untilID = true
		first, err := s.next()
		if err != nil || first.id == "" || first.data != "" || first.name != "" {
			t.Fatalf("%s begins with %+v, %v; want an id and no data", path, first, err)
		}
		_ = s.body.Close()
		if _, err := c.Put(t.Context(), "k", 1); err != nil {
			t.Fatal(err)
		}
		again := v.events(path, "Last-Event-ID", first.id)
		if got := again.batch(); !strings.HasSuffix(got, "+k=1") {
			t.Errorf("%s: after the first id came %s", path, got)
		}
		if again.lastID == first.id || again.lastID == "" {
			t.Errorf("%s: the id after the change is %q", path, again.lastID)
		}
	}
}
