package rows

import (
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

// The row without a key is the collection itself, and is called that.
func TestDescribe(t *testing.T) {
	c := id.Collection{Name: id.Name{Owner: "home.local/owner", Local: "todo"}}
	for key, want := range map[string]string{
		"":                        `collection home.local/owner:todo`,
		"milk":                    `home.local/owner:todo "milk"`,
		strings.Repeat("ä", 1000): `home.local/owner:todo "` + strings.Repeat("ä", 40) + `..."`,
	} {
		if got := describe(c, key); got != want {
			t.Errorf("%q: %q", key, got)
		}
	}
}
