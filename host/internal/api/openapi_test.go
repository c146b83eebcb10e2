package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/api/node/v1/nodehttp"
)

// openAPI is what tests need of the document.
type openAPI struct {
	Swagger string
	Paths   map[string]map[string]struct{ OperationID string }
}

func document(t *testing.T) (d openAPI) {
	t.Helper()
	if err := json.Unmarshal(nodehttp.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	if d.Swagger != "2.0" {
		t.Fatalf("the document is %q; docs/http.md says OpenAPI 2.0", d.Swagger)
	}
	return d
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// TestEveryRouteIsInTheDocument tries every method with every path of the document: those that it has are served, all others
// are refused as such. So nothing is documented that is not there, and no method is there that is not documented.
func TestEveryRouteIsInTheDocument(t *testing.T) {
	v := newWeb(t)
	for path, methods := range document(t).Paths {
		if strings.HasPrefix(path, "/syncbase.") {
			continue // streams in both directions, which wait for more
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"} {
			_, documented := methods[strings.ToLower(method)]
			r := v.do(method, parameter.ReplaceAllString(path, "x"), "")
			var f httpError
			_ = json.Unmarshal([]byte(r.body), &f)
			refused := r.status == http.StatusMethodNotAllowed
			switch {
			case documented && (refused || f.Reason == "NO_PATH" || r.status == http.StatusNotImplemented):
				t.Errorf("%s %s is in the document and answered with %d %s", method, path, r.status, r.body)
			case !documented && !refused:
				t.Errorf("%s %s is not in the document and answered with %d %s", method, path, r.status, r.body)
			case refused && method != "HEAD" && f.Reason != "METHOD":
				t.Errorf("%s %s: 405 with %s", method, path, r.body)
			}
		}
	}
}

// TestEveryCallIsInTheDocument wants each method of the service under some path.
func TestEveryCallIsInTheDocument(t *testing.T) {
	ids := map[string]bool{}
	for path, methods := range document(t).Paths {
		for method, operation := range methods {
			if operation.OperationID == "" || ids[operation.OperationID] {
				t.Errorf("%s %s has the operation %q, want one that no other has", method, path, operation.OperationID)
			}
			ids[operation.OperationID] = true
		}
	}
	var names []string
	for _, m := range nodev1.NodeService_ServiceDesc.Methods {
		names = append(names, m.MethodName)
	}
	for _, m := range nodev1.NodeService_ServiceDesc.Streams {
		names = append(names, m.StreamName)
	}
	for _, name := range names {
		if !ids[name] {
			t.Errorf("%s is in no path of the document; add a rule to node.http.yaml", name)
		}
	}
}
