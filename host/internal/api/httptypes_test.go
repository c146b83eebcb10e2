package api

import (
	"net/http"
	"strings"
	"testing"
)

// TestHTTPBodiesOfOtherTypes wants a body of a type that is not taken refused wherever JSON is asked for, and nobody shown the words
// of the library that reads it.
func TestHTTPBodiesOfOtherTypes(t *testing.T) {
	v := newWeb(t)
	for _, kind := range []string{"text/xml", "text/plain", "application/octet-stream", "nonsense;;"} {
		if r := v.do(http.MethodPost, "/v1/db", `{"database":"notes"}`, "Content-Type", kind); r.status != 415 || !strings.Contains(r.body, "CONTENT_TYPE") {
			t.Errorf("%s: %d %s", kind, r.status, r.body)
		}
	}
	if r := v.do(http.MethodPost, "/v1/db", `{"database":"notes"}`, "Content-Type", "application/merge-patch+json; charset=utf-8"); r.status != 200 {
		t.Errorf("JSON by another name: %d %s", r.status, r.body)
	}
	for body, want := range map[string]string{
		`{"quota_bytes":"1","quotaBytes":"2"}`: `quota_bytes is given twice`,
		`{"quota_bytes":"x"}`:                  `quota_bytes`,
	} {
		if r := v.do(http.MethodPatch, "/v1/db/notes", body); r.status != 400 || !strings.Contains(r.body, want) || strings.Contains(r.body, "proto") {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	for _, body := range []string{
		`{"ops":[{"put":{"collection":"c","key":"k"},"delete":{"collection":"c","key":"k"}}]}`,
		`{"ops":[{"put":null,"delete":{"collection":"c","key":"k"},"check":{"collection":"c"}}]}`,
	} {
		if r := v.do(http.MethodPost, "/v1/db/notes/commit", body); r.status != 400 || strings.Contains(r.body, "syncbase.node") {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
}
