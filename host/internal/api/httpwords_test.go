package api

import (
	"strings"
	"testing"
)

// What is wrong with a body or a parameter is said in words of this API: its field names, what would be right, and nothing of how it is
// read.
func TestHTTPSaysWhatIsWrong(t *testing.T) {
	v := newWeb(t)
	v.collection("db", "c")
	for _, x := range []struct{ method, path, body, want string }{
		{"POST", "/v1/db/db/commit", `{"ops":[{"put":{"collection":"c","key":"k","value":1},"delete":{"collection":"c","key":"k"}}]}`, "ops: 0: put and delete exclude each other"},
		{"POST", "/v1/db/db/commit", `{"ops":[{"check":{"collection":"c","key":"k","absent":true,"version":"x"}}]}`, "ops: 0: check: version and absent exclude each other"},
		{"POST", "/v1/db/db/commit", `{"ops":[{"check":{"collection":"c","key":"k","absent":true,"value":1}}]}`, "ops: 0: check: absent and value exclude each other"},
		{"PATCH", "/v1/db/db", `{"durability":"NONE"}`, `durability: \"NONE\" is none of DURABILITY_SYNC, DURABILITY_ASYNC`},
		{"PATCH", "/v1/db/db", `{"quota_bytes":"abc"}`, "quota_bytes: abc is not a whole number from 0 to 18446744073709551615"},
		{"PATCH", "/v1/db/db", `{"quota_bytes":-1}`, "quota_bytes: -1 is not a whole number from 0"},
		{"PATCH", "/v1/db/db", `{"quota_bytes":1.5}`, "quota_bytes: 1.5 is not a whole number"},
		{"PATCH", "/v1/db/db", `{"quota_bytes":1e40}`, "quota_bytes: 1e40 is not a whole number"},
		{"PATCH", "/v1/db/db", `{"quota_bytes":18446744073709551616}`, "18446744073709551616 is not a whole number"},
		{"PUT", "/v1/db/db/schema", `{"version":4294967296,"policy":{}}`, "version: 4294967296 is not a whole number from 0 to 4294967295"},
		{"POST", "/v1/clock", `{"by":"abc"}`, `by: \"abc\" is no duration in seconds, such as \"1.5s\"`},
		{"POST", "/v1/clock", `{"by":{"seconds":1}}`, "by: an object where a text is wanted"},
		{"GET", "/v1/db/db/invitations?declined=perhaps", "", `the parameter declined: \"perhaps\" is not true or false`},
		{"POST", "/v1/doctor?progress=perhaps", "", `the parameter progress: \"perhaps\" is not true or false`},
	} {
		r := v.do(x.method, x.path, x.body)
		if r.status != 400 || !strings.Contains(r.body, x.want) || strings.Contains(r.body, "proto") || strings.Contains(r.body, "oneof") || strings.Contains(r.body, "strconv") {
			t.Errorf("%s %s %s: %d %s\nwant 400 with %s", x.method, x.path, x.body, r.status, r.body, x.want)
		}
	}
	// The limits themselves are numbers.
	for _, quota := range []string{`18446744073709551615`, `"18446744073709551615"`, `1e3`, `0`, `null`} {
		if r := v.do("PATCH", "/v1/db/db", `{"quota_bytes":`+quota+`}`); r.status != 200 {
			t.Errorf("a quota of %s: %d %s", quota, r.status, r.body)
		}
	}
}
