package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/syncbase/syncbase/host/internal/api/gateway"
	"github.com/syncbase/syncbase/host/internal/id"
)

// callerHeader is callerKey in HTTP: by it requests of these tests say who makes them. Without it, it is the owner.
const callerHeader = "X-Test-Caller"

// testProof is the proof of whoever a request says it is from.
type testProof struct {
	credentials.CommonAuthInfo
	principal id.Principal
}

func (testProof) AuthType() string           { return "test" }
func (p testProof) Principal() id.Principal  { return p.principal }
func (p testProof) GetSecurityLevel() string { return "test" }

// nothingElse fails when anything of a request has become metadata of its call.
func nothingElse(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	for name := range md {
		if !slices.Contains([]string{":authority", "content-type", "user-agent", "grpc-accept-encoding"}, name) {
			return fmt.Errorf("metadata %s came with the call: %q", name, md[name])
		}
	}
	return nil
}

func proveByHeader(r *http.Request, _ net.Conn) (credentials.AuthInfo, error) {
	if values := r.Header.Values(callerHeader); len(values) > 0 {
		return testProof{principal: id.Principal(values[0])}, nil
	}
	return testProof{principal: owner}, nil
}

// web is a world with a gateway.
type web struct {
	*world
	socket string
	http   *http.Client
}

func newWeb(t testing.TB) *web { return newWebWith(t, gateway.Options{}) }

func newWebWith(t testing.TB, opts gateway.Options) *web {
	t.Helper()
	w := newWorld(t)
	return w.web(opts)
}

// web opens a gateway to the world.
func (w *world) web(opts gateway.Options) *web {
	t := w.t
	t.Helper()
	opts.Services, opts.Server = w.server.Register, ServerOptions()
	g, err := gateway.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	v := &web{world: w, socket: filepath.Join(t.TempDir(), "h")}
	l, err := net.Listen("unix", v.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, []gateway.Door{{Listener: l, Prove: proveByHeader}}) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", v.socket)
	}}
	v.http = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return v
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// do makes a request; header has names and values in turn.
func (v *web) do(method, path, body string, header ...string) reply {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(bytes.TrimSuffix(data, []byte("\n")))}
}

// TestHTTPWalk asks for one thing after the other, as somebody with curl does.
func TestHTTPWalk(t *testing.T) {
	v := newWeb(t)
	const rows = "/v1/db/notes/collections/todo/rows"
	for _, x := range []struct {
		method, path, body string
		status             int
		// want is a part of the answer.
		want string
	}{
		{"POST", "/v1/db", `{"database":"notes"}`, 200, `{"database":"home.local/owner:notes","warnings":[]}`},
		{"POST", "/v1/db", `{"database":"notes"}`, 409, `"code":"ALREADY_EXISTS","reason":"EXISTS"`},
		{"POST", "/v1/db", `{"databse":"notes"}`, 400, `unknown field \"databse\"`},
		{"POST", "/v1/db", `{"database":`, 400, `"reason":"INVALID"`},
		{"GET", "/v1/db", "", 200, `{"database":"home.local/owner:notes"}`},
		{"GET", "/v1/db/notes", "", 200, `"durability":"DURABILITY_SYNC"`},
		{"PATCH", "/v1/db/notes", `{"durability":"DURABILITY_ASYNC"}`, 200, `"durability":"DURABILITY_ASYNC"`},
		{"PATCH", "/v1/db/notes", `{"durability":"sync"}`, 200, `"durability":"DURABILITY_SYNC"`},
		{"PATCH", "/v1/db/notes", `{"durability":"ASYNC"}`, 200, `"durability":"DURABILITY_ASYNC"`},
		{"PATCH", "/v1/db/notes", `{"durability":"unspecific"}`, 400, `none of DURABILITY_SYNC, DURABILITY_ASYNC`},
		{"POST", "/v1/db/notes/collections", `{"collection":"todo"}`, 200, `"home.local/owner:todo"`},
		{"GET", "/v1/db/nix/collections", "", 404, `"reason":"NO_DATABASE"`},
		{"PUT", rows + "/milk", "{\"done\":\n false}\n", 200, `{"version":"0700000000000000.1-2"}`},
		{"GET", rows + "/milk", "", 200, "{\"done\":\n false}"},
		{"GET", rows + "/nix", "", 404, `"reason":"NO_ROW"`},
		{"PUT", rows + "/large", `"` + strings.Repeat("x", 4<<20-1) + `"`, 413, `"reason":"BODY_TOO_LARGE"`},
		{"GET", rows, "", 200, `{"key":"milk","value":{"done":false},"type":"","version":"0700000000000000.1-2",`},
		{"GET", rows + "?keysonly=true", "", 400, `there is no parameter \"keysonly\"`},
		{"GET", rows + "?max=-1", "", 400, `want a number`},
		{"GET", "/v1/db/notes/collections/todo/history/milk", "", 200, `"value":{"done":false}`},
		{"GET", "/v1/db/notes/permissions", "", 200, `{"permissions":{"Admin":{"in":["home.local/owner"]}`},
		{"GET", "/v1/db/notes/schema", "", 404, `"reason":"NO_SCHEMA"`},
		{"PUT", "/v1/db/notes/schema", `{"version":1,"policy":{"rules":[]}}`, 200, `{"warnings":[]}`},
		{"GET", "/v1/db/notes/schema", "", 200, `{"schema":{"version":1,"policy":{"rules":[]}}}`},
		{"POST", "/v1/db/notes/commit", "{\"ops\":[{\"put\":{\"collection\":\"todo\",\"key\":\"a\",\"value\":{\"x\":1}}}," +
			"{\"check\":{\"collection\":\"todo\",\"key\":\"milk\",\"value\": {\"done\":\n false} }}]}", 200, `{"versions":["0700000000000000.1-3",""]}`},
		{"POST", "/v1/db/notes/commit", `{"ops":[{"check":{"collection":"todo","key":"milk","absent":true}}]}`, 409, `"code":"ABORTED","reason":"CONFLICT"`},
		{"GET", "/v1/status", "", 200, `"http_addresses":[]`},
		{"GET", "/v1/nothing", "", 404, `"reason":"NO_PATH"`},
		{"POST", "/v1/status", "", 405, `"reason":"METHOD"`},
		{"POST", rows, "", 405, `"reason":"METHOD"`},
		{"DELETE", rows + "/milk", "", 200, `{"version":"0700000000000000.1-4","existed":true}`},
		{"DELETE", rows + "/milk", "", 200, `{"version":"","existed":false}`},
		{"DELETE", rows, "", 400, `an empty prefix means every row`},
		{"DELETE", rows + "?prefix=", "", 200, `{"deleted":"1"}`},
		{"GET", "/openapi.json", "", 200, `"swagger": "2.0"`},
	} {
		r := v.do(x.method, x.path, x.body)
		if r.status != x.status || !strings.Contains(r.body, x.want) {
			t.Errorf("%s %s %s: %d %s\nwant %d with %s", x.method, x.path, x.body, r.status, r.body, x.status, x.want)
		}
	}
}
