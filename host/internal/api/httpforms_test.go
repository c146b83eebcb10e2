package api

import (
	"encoding/json"
	"testing"

	"github.com/syncbase/syncbase/host/internal/api/gateway"
)

// A list that is empty is one of lines, as any other: readers choose by the type before there is a line.
func TestHTTPEmptyLists(t *testing.T) {
	v := newWebWith(t, gateway.Options{})
	v.collection("db", "c")
	for _, path := range []string{"/v1/db/db/conflicts", "/v1/db/db/blobs", "/v1/db/db/syncgroups", "/v1/refused", "/v1/db/db/collections/c/rows"} {
		if r := v.do("GET", path, ""); r.status != 200 || r.body != "" || r.header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("%s: %d %q, of the type %q", path, r.status, r.body, r.header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/v1/db/db", "/v1/db/none", "/v1/db/db/schema"} {
		if r := v.do("GET", path, ""); r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d, of the type %q", path, r.status, r.header.Get("Content-Type"))
		}
	}
}

// A blob never changes, so who has it need not be sent it again; who may not have it is not told that it is the same.
func TestHTTPBlobNotModified(t *testing.T) {
	v := newWebWith(t, gateway.Options{})
	v.collection("db", "c")
	var blob struct{ Ref string }
	if r := v.do("POST", "/v1/db/db/blobs", "text"); json.Unmarshal([]byte(r.body), &blob) != nil {
		t.Fatalf("put: %+v", r)
	}
	for _, method := range []string{"GET", "HEAD"} {
		for tag, want := range map[string]int{`"` + blob.Ref + `"`: 304, `"x", W/"` + blob.Ref + `"`: 304, "*": 304, `"another"`: 200, "": 200} {
			r := v.do(method, "/v1/db/db/blobs/"+blob.Ref, "", "If-None-Match", tag)
			if r.status != want || r.header.Get("ETag") != `"`+blob.Ref+`"` || want == 304 && r.body != "" {
				t.Errorf("%s with %s: %+v, want %d", method, tag, r, want)
			}
		}
		if r := v.do(method, "/v1/db/db/blobs/none", "", "If-None-Match", "*"); r.status != 404 {
			t.Errorf("%s of a blob that is not there: %+v", method, r)
		}
	}
}

// The headers that change what is answered are in the document.
func TestHeadersAreInTheDocument(t *testing.T) {
	var d struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal([]byte(newWeb(t).do("GET", "/openapi.json", "").body), &d); err != nil {
		t.Fatal(err)
	}
	const row, blob, watch = "/v1/db/{database}/collections/{collection}/rows/{key}", "/v1/db/{database}/blobs/{ref}", "/v1/db/{database}/watch"
	for _, x := range []struct{ path, method, in, name string }{
		{row, "get", "header", "If-None-Match"}, {row, "head", "header", "If-None-Match"}, {row, "head", "query", "batch"}, {row, "get", "query", "batch"},
		{row, "put", "header", "If-Match"}, {row, "put", "header", "If-None-Match"}, {row, "put", "header", "Syncbase-Type"}, {row, "delete", "header", "If-Match"},
		{blob, "get", "header", "If-None-Match"}, {blob, "head", "header", "If-None-Match"}, {blob, "get", "header", "Range"}, {blob, "get", "header", "If-Range"},
		{watch, "get", "header", "Last-Event-ID"}, {watch, "get", "header", "Accept"}, {watch, "get", "query", "resume"}, {watch, "get", "query", "initial"},
		{watch, "get", "query", "collection"}, {watch, "get", "query", "prefix"}, {watch, "get", "path", "database"},
	} {
		found := false
		for _, p := range d.Paths[x.path][x.method].Parameters {
			found = found || p.Name == x.name && p.In == x.in
		}
		if !found {
			t.Errorf("%s %s has no %s %s", x.method, x.path, x.in, x.name)
		}
	}
}
