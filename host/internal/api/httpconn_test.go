package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/api/node/v1/nodehttp"
)

// httpConn makes calls over HTTP, as the OpenAPI document says, so that what is tested of calls can be tested of requests.
// Of answers it reads that of BeginBatch and, of others, whether there is one.
type httpConn struct {
	*web
	operations map[string]httpOperation
	// header is sent with every request.
	header http.Header
}

// httpOperation is how the document says that a method is called.
type httpOperation struct {
	verb, path string
	// in tells where parameters go: path, query or body.
	in map[string]string
}

func (v *web) conn(header http.Header) *httpConn {
	return &httpConn{web: v, operations: operations(v.t), header: header}
}

// operations reads the document. Of several paths for a method, the one with most names in it counts.
func operations(t testing.TB) map[string]httpOperation {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(nodehttp.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]httpOperation{}
	for path, verbs := range document.Paths {
		for verb, o := range verbs {
			name := strings.TrimRight(o.OperationID, "0123456789") // GetPermissions2 is another path for GetPermissions
			op := httpOperation{verb: strings.ToUpper(verb), path: path, in: map[string]string{}}
			for _, p := range o.Parameters {
				op.in[p.Name] = p.In
			}
			if len(all[name].path) < len(path) {
				all[name] = op
			}
		}
	}
	return all
}

// request makes the request that stands for a call.
func (c *httpConn) request(ctx context.Context, method string, m proto.Message) (*http.Request, error) {
	_, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	op, found := c.operations[name]
	if !found {
		return nil, fmt.Errorf("the document has no operation %s", name)
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	path, query, body := op.path, url.Values{}, fields
	for name, value := range fields {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		switch {
		case strings.Contains(path, "{"+name+"}"):
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(s))
			delete(body, name)
		case op.in[name] == "query":
			query.Set(name, s)
			delete(body, name)
		}
	}
	path = strings.ReplaceAll(strings.ReplaceAll(path, "/collections/{collection}", ""), "/{database}", "") // shorter lists of names
	var sent []byte
	for name, in := range op.in {
		if in == "body" && name == "body" {
			sent = embedJSON(c.t, body)
		} else if in == "body" && body[name] != nil {
			sent = embedJSON(c.t, body[name])
		}
	}
	req, err := http.NewRequestWithContext(ctx, op.verb, "http://localhost"+path+"?"+query.Encode(), bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if md, _ := metadata.FromOutgoingContext(ctx); len(md.Get(callerKey)) > 0 {
		req.Header[callerHeader] = md.Get(callerKey)
	}
	return req, nil
}

// embedJSON puts JSON in place of base64 where the gateway wants it.
func embedJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for name, value := range v {
				s, isText := value.(string)
				if data, err := base64.StdEncoding.DecodeString(s); isText && err == nil && slices.Contains([]string{"value", "permissions", "policy", "spec"}, name) {
					v[name] = json.RawMessage(data)
				}
				walk(value)
			}
		}
	}
	walk(tree)
	if text, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	return text
}

// call makes the request and turns its failure into the status that a call would have had.
func (c *httpConn) call(ctx context.Context, method string, m, reply proto.Message) error {
	req, err := c.request(ctx, method, m)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 300 && resp.Header.Get("Content-Type") == "text/event-stream" {
		return nil // it has no end
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return statusFrom(body)
	}
	_ = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, reply) // what is JSON in place of bytes it cannot read
	return nil
}

func statusFrom(body []byte) error {
	type failure struct{ Code, Reason, Message string }
	var f struct {
		failure
		// Error is set in the last line of a stream, which may be the only one.
		Error *failure
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return fmt.Errorf("a failure that is no JSON: %q", body)
	}
	if f.Error != nil {
		f.failure = *f.Error
	}
	st, err := status.New(codes.Code(code.Code_value[f.Code]), f.Message).WithDetails(&errdetails.ErrorInfo{Reason: f.Reason})
	if err != nil {
		return err
	}
	return st.Err()
}

// Invoke implements grpc.ClientConnInterface.
func (c *httpConn) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	return c.call(ctx, method, args.(proto.Message), reply.(proto.Message))
}

// NewStream implements grpc.ClientConnInterface.
func (c *httpConn) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return &httpStream{conn: c, ctx: ctx, method: method}, nil
}

// httpStream is a request that stands for a stream: it is made when all has been sent.
type httpStream struct {
	grpc.ClientStream
	conn   *httpConn
	ctx    context.Context
	method string
	sent   proto.Message
	// outcomes are those of CommitEach, until they are received.
	outcomes nodev1.CommitEachResponse
}

func (s *httpStream) SendMsg(m any) error {
	s.sent = m.(proto.Message)
	return nil
}

func (s *httpStream) CloseSend() error {
	if strings.HasSuffix(s.method, "/CommitEach") {
		return s.conn.call(s.ctx, s.method, s.sent, &s.outcomes)
	}
	return s.conn.call(s.ctx, s.method, s.sent, &nodev1.StatusResponse{})
}

// RecvMsg has one empty answer of a watch, which has no end, and of a blob that was put, and what became of commits; all else
// has ended.
func (s *httpStream) RecvMsg(m any) error {
	if len(s.outcomes.Outcomes) > 0 {
		proto.Merge(m.(proto.Message), &s.outcomes)
		s.outcomes.Reset()
		return nil
	}
	if strings.HasSuffix(s.method, "/Watch") || strings.HasSuffix(s.method, "/PutBlob") {
		return nil
	}
	return io.EOF
}

func (s *httpStream) Context() context.Context     { return s.ctx }
func (s *httpStream) Header() (metadata.MD, error) { return nil, nil }
func (s *httpStream) Trailer() metadata.MD         { return nil }

// TestAccessOverHTTP asks over HTTP for what TestAccess asks for: HTTP passes nothing that gRPC refuses, whatever else
// stands in the headers, and the other way round.
func TestAccessOverHTTP(t *testing.T) {
	v := newWeb(t)
	smuggled := http.Header{}
	for _, name := range []string{"Grpc-Metadata-" + callerKey, callerKey, "Grpcgateway-" + callerKey, "X-Forwarded-For", "Authorization", "Forwarded"} {
		smuggled.Set(name, string(owner))
	}
	checkAccess(t, v.world, nodev1.NewNodeServiceClient(v.conn(smuggled)))
}

// TestDocumentIsComplete fails when a method is added to which no path of the document leads.
func TestDocumentIsComplete(t *testing.T) {
	all := operations(t)
	for _, a := range accesses {
		if _, found := all[a.method]; !found {
			t.Errorf("the OpenAPI document has no path for %s", a.method)
		}
		if strings.HasPrefix(all[a.method].path, "/syncbase.") {
			t.Logf("%s has no rule in node.http.yaml", a.method)
		}
	}
}

// TestDocumentIsTrue finds something at every path of the document, by the method that it says.
func TestDocumentIsTrue(t *testing.T) {
	v := newWeb(t)
	for name, op := range operations(t) {
		path := strings.NewReplacer("{", "", "}", "").Replace(op.path)
		r := v.do(op.verb, path, "")
		if strings.Contains(r.body, `"NO_PATH"`) || strings.Contains(r.body, `"METHOD"`) {
			t.Errorf("%s, %s %s: %d %s", name, op.verb, op.path, r.status, r.body)
		}
	}
}

// What the library answers because it cannot read a request comes in our form, and a value that looks like such an answer is
// none.
func TestUnreadableRequests(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	const ours = `{"code":"INVALID_ARGUMENT","reason":"INVALID","message":"the request cannot be read`
	for what, x := range map[string]struct{ request, status, want string }{
		"no escape":      {"PUT " + httpRows + "/k%zz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1", "400 Bad Request", ours},
		"no host":        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", ours + ": 400 Bad Request: missing required Host header"},
		"large headers":  {"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "431 Request Header Fields Too Large", `"reason":"HEADERS_TOO_LARGE"`},
		"strange coding": {"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: br\r\n\r\n", "501 Not Implemented", `"reason":"TRANSFER_ENCODING"`},
		"second request": {"GET /openapi.jso HTTP/1.1\r\nHost: localhost\r\n\r\nGET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found", ours},
	} {
		got := v.raw(x.request)
		if !strings.HasPrefix(got, "HTTP/1.1 "+x.status+"\r\n") || !strings.Contains(got, x.want) || strings.Contains(got, "text/plain") {
			t.Errorf("%s: %.300s", what, got)
		}
	}
	// Of a value of this size and content some part reaches the connection in one piece.
	value := strings.Repeat("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request", 10_000)
	if r := v.do("PUT", httpRows+"/k", value, "Content-Type", "application/octet-stream"); r.status != 200 {
		t.Fatal(r)
	}
	for range 4 {
		if r := v.do("GET", httpRows+"/k", ""); r.body != value {
			t.Errorf("the value came as %d bytes", len(r.body))
		}
	}
}

// raw sends a text over a connection of its own and returns all that comes back.
func (v *web) raw(request string) string {
	v.t.Helper()
	conn, err := net.Dial("unix", v.socket)
	if err != nil {
		v.t.Fatal(err)
	}
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, request) // the daemon need not read all of it
	}()
	answer, _ := io.ReadAll(conn)
	<-sent
	return string(answer)
}
