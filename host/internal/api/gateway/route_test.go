package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParsePath(t *testing.T) {
	for path, want := range map[string]place{
		"/v1/db/a%2Fb%3Ac/collections/d/rows":             {face: faceRows, database: "a/b:c", collection: "d"},
		"/v1/db/D/collections/C/rows/k":                   {face: faceRow, database: "D", collection: "C", key: "k"},
		"/v1/db/D/collections/C/rows/a/b%2Fc%252F":        {face: faceRow, database: "D", collection: "C", key: "a/b/c%2F"},
		"/v1/db/D/collections/C/rows/":                    {face: faceRow, database: "D", collection: "C"},
		"/v1/db/D/collections/C/rows//":                   {face: faceRow, database: "D", collection: "C", key: "/"},
		"/v1/db/D/collections/C/rows/a:b":                 {face: faceRow, database: "D", collection: "C", key: "a:b"},
		"/v1/db/D/collections/C/history/a/b":              {database: "D", collection: "C", path: "/v1/db/D/collections/C/history/a%2Fb"},
		"/v1/db/D/collections/C/history":                  {database: "D", collection: "C"},
		"/v1/db/D/collections/C/permissions":              {database: "D", collection: "C"},
		"/v1/db/D/watch":                                  {face: faceWatch, database: "D"},
		"/v1/db/D/blobs":                                  {face: faceBlobs, database: "D"},
		"/v1/db/D/blobs/R":                                {face: faceBlob, database: "D", ref: "R"},
		"/v1/db/D/blobs/R/stat":                           {database: "D"},
		"/openapi.json":                                   {face: faceDocument},
		"/v1/db/watch":                                    {},
		"/v2/db/D/collections/C/rows/k":                   {},
		"/v1/db//collections//rows/k":                     {face: faceRow, key: "k"},
		"/v1/db/collections/collections/collections/rows": {face: faceRows, database: "collections", collection: "collections"},
	} {
		if want.path == "" {
			want.path = path
		}
		if got, err := parsePath(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", path, got, err, want)
		}
	}
	for _, path := range []string{"", "v1", "/v1/db/%", "/v1/db/%f", "/v1/db/%ff", "/%zz"} {
		if got, err := parsePath(path); err == nil {
			t.Errorf("%q was read as %+v", path, got)
		}
	}
}

// reference: store-003 any name, valid or not, is one part of a path when it is escaped, and is read back from it.
//
// FuzzPath reads back every name from a path that was written with it, and none from a path that is no text.
func FuzzPath(f *testing.F) {
	f.Add("home.local/owner:db", "c", "a/b%2F:?#", "/v1/db/a/b")
	f.Add(".", "..", "//", "/v1/db/%2E/collections/%ff/rows/")
	f.Fuzz(func(t *testing.T, database, collection, key, path string) {
		if p, err := parsePath(path); err == nil {
			for _, name := range []string{p.database, p.collection, p.key, p.ref} {
				if !utf8.ValidString(name) {
					t.Errorf("%q holds a name that is no text: %q", path, name)
				}
			}
		}
		if !utf8.ValidString(database) || !utf8.ValidString(collection) || !utf8.ValidString(key) {
			return
		}
		written := "/v1/db/" + url.PathEscape(database) + "/collections/" + url.PathEscape(collection) + "/rows/" + url.PathEscape(key)
		want := place{face: faceRow, database: database, collection: collection, key: key, path: written}
		if got, err := parsePath(written); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", written, got, err, want)
		}
		// As it is, but for what would end the path or begin an escape.
		plain := strings.NewReplacer("%", "%25", "?", "%3F", "#", "%23").Replace(key)
		if got, err := parsePath(strings.TrimSuffix(written, url.PathEscape(key)) + plain); err != nil || got.key != key {
			t.Errorf("%q as it is: %+v, %v", key, got, err)
		}
	})
}

func TestParseRange(t *testing.T) {
	for spec, want := range map[string]extent{
		"0-0": {0, 1}, "0-": {0, 10}, "3-5": {3, 3}, " 3-5 ": {3, 3}, "3-100": {3, 7}, "9-9": {9, 1}, "-3": {7, 3}, "-100": {0, 10}, "-0": {10, 0},
		"10-": {10, 0}, "0-9223372036854775807": {0, 10}, "9223372036854775807-": {9223372036854775807, 0},
	} {
		if got, ok := parseRange(spec, 10); !ok || got != want {
			t.Errorf("%q: %+v, %v; want %+v", spec, got, ok, want)
		}
	}
	for _, spec := range []string{"", "-", "a-b", "5-3", "1-2,4-5", "+1-2", "0x1-", "18446744073709551616-", "--1"} {
		if got, ok := parseRange(spec, 10); ok {
			t.Errorf("%q was read as %+v", spec, got)
		}
	}
}

func TestParameters(t *testing.T) {
	ask := func(query string) (*query, error) {
		return parameters(httptest.NewRequest(http.MethodGet, "/?"+query, nil), "text", "number", "flag")
	}
	q, err := ask("text=a%20b&number=18446744073709551615&flag=true")
	if err != nil || q.text("text") != "a b" || q.number("number") != 1<<64-1 || !q.flag("flag") || q.err != nil {
		t.Errorf("%+v, %v", q, err)
	}
	for _, bad := range []string{"other=1", "text=1&text=2", "text=%ff", "%ff=1", "text=%zz", "text=a;b"} {
		if q, err := ask(bad); err == nil {
			t.Errorf("%s was read as %v", bad, q.values)
		}
	}
	for _, bad := range []string{"number=-1", "number=1.5", "flag=yes"} {
		q, err := ask(bad)
		if err != nil {
			t.Fatal(err)
		}
		if q.number("number"); !q.flag("flag") && q.err == nil {
			t.Errorf("%s makes sense", bad)
		}
	}
}
