package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/api/gateway"
)

const httpRows = "/v1/db/db/collections/c/rows"

// TestHTTPRow reads and writes one row, under conditions and without.
func TestHTTPRow(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	const row = httpRows + "/k"
	first := v.do("PUT", row, `{"n":1}`, "If-None-Match", "*", "Syncbase-Type", "note")
	etag := first.header.Get("ETag")
	if first.status != 200 || first.body != `{"version":`+etag+`}` {
		t.Fatalf("put: %+v", first)
	}
	for _, x := range []struct {
		what, method, body string
		header             []string
		status             int
		want               string
	}{
		{"is there", "PUT", `2`, []string{"If-None-Match", "*"}, 412, `"code":"ABORTED"`},
		{"read", "GET", "", nil, 200, `{"n":1}`},
		{"head", "HEAD", "", nil, 200, ""},
		{"not modified", "GET", "", []string{"If-None-Match", etag}, 304, ""},
		{"weak, in a list", "GET", "", []string{"If-None-Match", `"x", W/` + etag}, 304, ""},
		{"modified", "GET", "", []string{"If-None-Match", `"x"`}, 200, `{"n":1}`},
		{"other version", "PUT", `2`, []string{"If-Match", `"0700000000000000.1-99"`}, 412, `"reason":"CONFLICT"`},
		{"no version", "PUT", `2`, []string{"If-Match", `"nonsense"`}, 412, `If-Match is \"nonsense\", which is the version of no row`},
		{"weak version", "PUT", `2`, []string{"If-Match", `W/` + etag}, 412, `"reason":"CONFLICT"`},
		{"delete of no version", "DELETE", "", []string{"If-Match", `"x y"`}, 412, `which is the version of no row`},
		{"no quote", "PUT", `2`, []string{"If-Match", `"nonsense`}, 400, `takes one ETag`},
		{"no ETag", "PUT", `2`, []string{"If-Match", `nonsense`}, 400, `takes one ETag`},
		{"any version", "PUT", `2`, []string{"If-Match", `*`}, 400, `takes one ETag`},
		{"two versions", "PUT", `2`, []string{"If-Match", etag + ", " + etag}, 400, `takes one ETag`},
		{"both", "PUT", `2`, []string{"If-Match", etag, "If-None-Match", "*"}, 400, `cannot both hold`},
		{"absent version", "PUT", `2`, []string{"If-None-Match", etag}, 400, `no version`},
		{"no JSON", "PUT", `{"n":`, nil, 400, `"code":"INVALID_ARGUMENT"`},
		{"nothing", "PUT", ``, nil, 400, `"code":"INVALID_ARGUMENT"`},
		{"strange type", "PUT", `2`, []string{"Content-Type", "text/plain"}, 415, `"reason":"CONTENT_TYPE"`},
		{"zipped", "PUT", `2`, []string{"Content-Encoding", "gzip"}, 415, `"reason":"CONTENT_ENCODING"`},
		{"zipped bytes", "PUT", `2`, []string{"Content-Encoding", "gzip", "Content-Type", "application/octet-stream"}, 415, `\"gzip\"; send it as it is`},
		{"zipped and not", "PUT", `2`, []string{"Content-Encoding", "identity, br"}, 415, `\"br\"`},
		{"other letters", "PUT", `2`, []string{"Content-Type", "application/json; charset=iso-8859-1"}, 415, `JSON is sent in UTF-8`},
		{"delete of another version", "DELETE", "", []string{"If-Match", `"0700000000000000.1-99"`}, 412, `"reason":"CONFLICT"`},
		{"that version", "PUT", ` 2 `, []string{"If-Match", etag, "Content-Type", "application/merge-patch+json; charset=utf-8"}, 200, `"version"`},
		{"is what was put", "GET", "", nil, 200, `2`},
		{"few letters", "PUT", `2`, []string{"Content-Type", "application/json; charset=US-ASCII", "Content-Encoding", "identity"}, 200, `"version"`},
		{"letters of bytes", "PUT", `2`, []string{"Content-Type", "application/octet-stream; charset=iso-8859-1"}, 200, `"version"`},
		{"JSON again", "PUT", `2`, nil, 200, `"version"`},
		{"patch", "PATCH", `2`, nil, 405, `"reason":"METHOD"`},
	} {
		r := v.do(x.method, row, x.body, x.header...)
		if r.status != x.status || !strings.Contains(r.body, x.want) || x.want == "" && r.body != "" {
			t.Errorf("%s: %d %s, want %d %s", x.what, r.status, r.body, x.status, x.want)
		}
	}
	r := v.do("HEAD", row, "")
	if r.header.Get("Content-Length") != "1" || r.header.Get("ETag") == etag || r.header.Get("Last-Modified") == "" {
		t.Errorf("head: %v", r.header)
	}
	if v.do("GET", row, "", "If-None-Match", etag).header.Get("Syncbase-Type") != "" {
		t.Error("the type of the first value is still there")
	}
	if r := v.do("DELETE", row, "", "If-Match", r.header.Get("ETag")); r.status != 200 {
		t.Errorf("delete: %+v", r)
	}
}

// TestHTTPBytes keeps bytes as bytes, in every place where a value shows.
func TestHTTPBytes(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	const bytes = "\x00\xff{\n"
	if r := v.do("PUT", httpRows+"/k", bytes, "Content-Type", "application/octet-stream", "Syncbase-Type", "blob"); r.status != 200 {
		t.Fatalf("put: %+v", r)
	}
	r := v.do("GET", httpRows+"/k", "")
	if r.body+"\n" != bytes || r.header.Get("Content-Type") != "application/octet-stream" || r.header.Get("Syncbase-Type") != "blob" {
		t.Errorf("get: %+v", r)
	}
	for _, path := range []string{httpRows, "/v1/db/db/collections/c/history/k"} {
		if r := v.do("GET", path, ""); !strings.Contains(r.body, `"value":"AP97Cg=="`) || !strings.Contains(r.body, `"raw":true`) {
			t.Errorf("%s: %s", path, r.body)
		}
	}
	if r := v.do("POST", "/v1/db/db/commit", `{"ops":[{"put":{"collection":"c","key":"j","raw":true,"value":"AP97Cg=="}}]}`); r.status != 200 {
		t.Errorf("commit: %+v", r)
	}
	if r := v.do("GET", httpRows+"/j", ""); r.body+"\n" != bytes {
		t.Errorf("get what was committed: %+v", r)
	}
}

// reference: store-003 names are escaped in paths of the web interface alone: of every valid name, the escaped one leads to what bears
// it, and nowhere else; one without what means something in a path stands there as it is.
//
// TestHTTPNames reaches things of every valid name, written in a path in every way in which it can be.
func TestHTTPNames(t *testing.T) {
	v := newWeb(t)
	for i, name := range append([]string{"%", "%2F", "%252F", "a%2Fb", ".", "..", "a/../b", "//", "rows", "x/rows/y", "history/z", "watch", "+", "a?b#c", "#"}, validNames...) {
		db := url.PathEscape("home.local/owner:" + name)
		if r := v.do("POST", "/v1/db", jsonOf(t, map[string]string{"database": ":" + name})); r.status != 200 {
			t.Fatalf("database %.30q: %+v", name, r)
		}
		coll := "/v1/db/" + escaped(db) + "/collections"
		if r := v.do("POST", coll, jsonOf(t, map[string]string{"collection": ":" + name})); r.status != 200 {
			t.Fatalf("collection %.30q: %+v", name, r)
		}
		coll += "/" + escaped(db)
		value := jsonOf(t, map[string]int{"n": i})
		keys := []string{escaped(url.PathEscape(name))}
		if plain := strings.ReplaceAll(url.PathEscape(name), "%2F", "/"); !strings.Contains(plain, "..") && !strings.Contains(plain, "//") {
			keys = append(keys, escaped(plain)) // slashes as they are
		}
		for _, key := range keys {
			if r := v.do("PUT", coll+"/rows/"+key, value); r.status != 200 {
				t.Errorf("put of %s: %+v", key, r)
			}
			if r := v.do("GET", coll+"/rows/"+key, ""); r.body != value {
				t.Errorf("get of %s: %+v", key, r)
			}
			if r := v.do("GET", coll+"/history/"+key, ""); !strings.Contains(r.body, value) {
				t.Errorf("history of %s: %+v", key, r)
			}
		}
		var row struct{ Key string }
		if r := v.do("GET", coll+"/rows", ""); json.Unmarshal([]byte(r.body), &row) != nil || row.Key != name {
			t.Errorf("scan for %.30q: %+v", name, r)
		}
		if r := v.do("DELETE", coll+"/rows?prefix="+url.QueryEscape(name), ""); r.body != `{"deleted":"1"}` {
			t.Errorf("delete of all that begin with %.30q: %+v", name, r)
		}
	}
}

// escaped keeps a client from resolving dots.
func escaped(path string) string {
	if strings.Trim(path, ".") == "" {
		return strings.ReplaceAll(path, ".", "%2E")
	}
	return path
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestHTTPPaths refuses paths that are no text.
func TestHTTPPaths(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	for path, want := range map[string]int{
		httpRows + "/%ff": 400, "/v1/db/%ff": 400, httpRows + "?prefix=%ff": 400, httpRows + "?prefix=%zz": 400,
		httpRows + "?prefix=a&prefix=b": 400, httpRows + "/": 400, "/v1/db/db/collections//rows": 400, "/v1/db/%00": 400,
		"/": 404, "/v1": 404, "//v1/db": 404, "/v1/db/db/collections/c/rowss": 404, "/openapi.json/": 404,
	} {
		if r := v.do("GET", path, ""); r.status != want {
			t.Errorf("%s: %d %s, want %d", path, r.status, r.body, want)
		}
	}
}

// TestHTTPBatch writes and reads in an open batch, and commits it.
func TestHTTPBatch(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	var open struct{ Batch string }
	if r := v.do("POST", "/v1/db/db/batches", ""); json.Unmarshal([]byte(r.body), &open) != nil || open.Batch == "" {
		t.Fatalf("begin: %+v", r)
	}
	in := "?batch=" + url.QueryEscape(open.Batch)
	for _, x := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"PUT", httpRows + "/k" + in, "1", 200, `{"version":""}`},
		{"GET", httpRows + "/k" + in, "", 200, `1`},
		{"GET", httpRows + in, "", 200, `{"key":"k","value":1,"type":"","version":"","raw":false}`},
		{"GET", httpRows + "/k", "", 404, `"reason":"NO_ROW"`},
		{"POST", "/v1/batches/" + open.Batch + "/ops", `{"ops":[{"put":{"collection":"c","key":"l","value":2}},{"delete":{"collection":"c","key":"k"}}]}`, 200, `{}`},
		{"POST", "/v1/batches/" + open.Batch + "/commit", "", 200, `{}`},
		{"GET", httpRows + "/l", "", 200, `2`},
		{"GET", httpRows + "/k", "", 404, `"reason":"NO_ROW"`},
		{"DELETE", "/v1/batches/" + open.Batch, "", 404, `"reason":"UNKNOWN_BATCH"`},
	} {
		if r := v.do(x.method, x.path, x.body); r.status != x.status || !strings.Contains(r.body, x.want) {
			t.Errorf("%s %s: %d %s, want %d %s", x.method, x.path, r.status, r.body, x.status, x.want)
		}
	}
	if r := v.do("PUT", httpRows+"/k"+in, "1", "If-None-Match", "*"); r.status != 400 {
		t.Errorf("a condition in a batch: %+v", r)
	}
}

// TestHTTPBlob stores and reads a blob, whole and in parts.
func TestHTTPBlob(t *testing.T) {
	v := newWebWith(t, gateway.Options{MaxBody: 16})
	v.collection("db", "c")
	text := strings.Repeat("0123456789", 100_000) // more than one message, and more than any other body may have
	var blob struct{ Ref, Size string }
	if r := v.do("POST", "/v1/db/db/blobs", text); json.Unmarshal([]byte(r.body), &blob) != nil || blob.Size != "1000000" {
		t.Fatalf("put: %+v", r)
	}
	for _, x := range []struct {
		spec, want, part string
		status           int
	}{
		{"", text, "", 200},
		{"bytes=0-9", "0123456789", "bytes 0-9/1000000", 206},
		{"bytes=999998-", "89", "bytes 999998-999999/1000000", 206},
		{"bytes=999998-2000000", "89", "bytes 999998-999999/1000000", 206},
		{"bytes=-3", "789", "bytes 999997-999999/1000000", 206},
		{"bytes=0-1,4-5", text, "", 200},
		{"bytes=5-3", text, "", 200},
		{"lines=1-2", text, "", 200},
		{"bytes=1000000-", "", "", 416},
		{"bytes=-0", "", "", 416},
	} {
		r := v.do("GET", "/v1/db/db/blobs/"+blob.Ref, "", "Range", x.spec)
		if r.status != x.status || r.status != 416 && r.body != x.want || r.header.Get("Content-Range") != x.part {
			t.Errorf("%q: %d, %d bytes, %q; want %d, %d bytes, %q", x.spec, r.status, len(r.body), r.header.Get("Content-Range"), x.status, len(x.want), x.part)
		}
	}
	if r := v.do("GET", "/v1/db/db/blobs/"+blob.Ref, "", "Range", "bytes=0-9", "If-Range", `"another"`); r.status != 200 {
		t.Errorf("a range of another blob: %+v", r.status)
	}
	if r := v.do("HEAD", "/v1/db/db/blobs/"+blob.Ref, ""); r.header.Get("Content-Length") != "1000000" {
		t.Errorf("head: %+v", r)
	}
	if r := v.do("GET", "/v1/db/db/blobs/none", ""); r.status != 404 {
		t.Errorf("a blob that is not there: %+v", r)
	}
	if r := v.do("PUT", httpRows+"/k", text); r.status != 413 || !strings.Contains(r.body, "BODY_TOO_LARGE") || !strings.Contains(r.body, "1000000 bytes, the limit is 16;") {
		t.Errorf("a row that is too large: %+v", r)
	}
	if r := v.do("POST", "/v1/db", text); r.status != 413 || !strings.Contains(r.body, "BODY_TOO_LARGE") {
		t.Errorf("a call that is too large: %+v", r)
	}
}

// A parameter that nothing reads is refused wherever it stands, and not passed over: somebody meant something by it.
func TestHTTPUnknownParameters(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	for _, ask := range []struct{ method, path, body string }{
		{"GET", "/v1/status", ""},
		{"GET", "/v1/db", ""},
		{"GET", "/v1/db/db", ""},
		{"GET", "/v1/db/db/permissions", ""},
		{"GET", "/v1/db/db/collections", ""},
		{"GET", "/v1/db/db/collections/c/rows", ""},
		{"GET", "/v1/db/db/collections/c/history/k", ""},
		{"GET", "/v1/db/db/blobs", ""},
		{"GET", "/v1/db/db/blobs/" + fakeRef, ""},
		{"POST", "/v1/db/db/blobs", "data"},
		{"POST", "/v1/db", `{"database":"other"}`},
		{"POST", "/v1/db/db/batches", "{}"},
		{"PUT", "/v1/db/db/collections/c/rows/k", "1"},
		{"DELETE", "/v1/db/db", ""},
		{"GET", "/openapi.json", ""},
	} {
		r := v.do(ask.method, ask.path+"?nonsense=1", ask.body)
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, "nonsense") {
			t.Errorf("%s %s: %d %s", ask.method, ask.path, r.status, r.body)
		}
	}
	if r := v.do("GET", "/v1/db/db/conflicts?collection=c", ""); r.status != 200 {
		t.Errorf("a parameter that is known: %d %s", r.status, r.body)
	}
}

// Keys alone have no values, whatever the rows hold.
func TestHTTPKeysOnly(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	for key, value := range map[string]client.Value{"json": {Bytes: []byte("1")}, "bytes": {Bytes: []byte{0}, Raw: true}} {
		if _, err := c.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	if r := v.do("GET", "/v1/db/db/collections/c/rows?keys_only=true", ""); r.status != 200 || strings.Contains(r.body, `"value"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := v.do("GET", "/v1/db/db/collections/c/rows", ""); strings.Count(r.body, `"value"`) != 2 {
		t.Errorf("with values: %s", r.body)
	}
}
