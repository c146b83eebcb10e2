package host

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
)

// Who asks around among strangers is told at once that nobody will answer, and why; while somebody else may still be reached the asking
// goes on.
func TestAskingAmongStrangers(t *testing.T) {
	stranger := func(name string) peer.Status {
		return peer.Status{Name: name, Address: "10.0.0.1:1", Err: fmt.Errorf("%w: %q does not trust the authority of this device", peer.ErrRefused, name)}
	}
	silent := peer.Status{Name: "c", Err: peer.ErrUnreachable}
	for _, c := range []struct {
		known []peer.Status
		over  bool
		want  error
		texts []string
	}{
		{nil, false, api.ErrUnavailable, nil},
		{[]peer.Status{silent}, false, api.ErrUnavailable, nil},
		{[]peer.Status{stranger("b"), stranger("")}, true, api.ErrDenied, []string{`"b" does`, `"" does`}},
		{[]peer.Status{stranger("b"), silent}, false, api.ErrDenied, []string{`"b" does`}},
		{[]peer.Status{stranger("b"), {Name: "d"}}, false, api.ErrDenied, nil},
		{[]peer.Status{stranger("1"), stranger("2"), stranger("3"), stranger("4")}, true, api.ErrDenied, []string{"; and 1 more"}},
	} {
		a := &asking{}
		if over := a.strangers(c.known); over != c.over {
			t.Errorf("%v: over %v, want %v", c.known, over, c.over)
		}
		err := a.failure(id.Name{Owner: "o", Local: "sg"})
		if !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.known, err, c.want)
		}
		for _, text := range c.texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%v lacks %q", err, text)
			}
		}
	}
}
