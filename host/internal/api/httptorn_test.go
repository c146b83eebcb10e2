package api

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// A blob of which not even the first bytes can be read is answered with an error, and not with headers and nothing after them.
func TestHTTPTornBlob(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	if r := v.do("POST", "/v1/db/db/blobs", "data"); r.status != http.StatusOK {
		t.Fatalf("put: %d %s", r.status, r.body)
	}
	v.fakes.mu.Lock()
	v.fakes.torn = errors.New("blob data is corrupt")
	v.fakes.mu.Unlock()
	if r := v.do("GET", "/v1/db/db/blobs/"+fakeRef, ""); r.status != http.StatusInternalServerError || !strings.Contains(r.body, "corrupt") {
		t.Errorf("get: %d %s", r.status, r.body)
	}
	v.fakes.mu.Lock()
	v.fakes.torn = nil
	v.fakes.mu.Unlock()
	if r := v.do("GET", "/v1/db/db/blobs/"+fakeRef, ""); r.status != http.StatusOK || r.body != "data" {
		t.Errorf("get once it is mended: %d %s", r.status, r.body)
	}
}
