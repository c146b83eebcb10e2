package rows

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

// A check compares all that it names, and says what it found in place of that, but not the value.
func TestCheckSaysWhatItFound(t *testing.T) {
	d := newDevice(t, 1).create()
	versions, err := d.db.Commit([]Op{{Collection: notes, Key: "k", Value: []byte(`"secret"`), Type: "note"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := versions[0]
	other := id.Version{Writer: now.Writer, Gen: now.Gen + 1}
	for _, x := range []struct {
		key    string
		expect Expect
		want   string
	}{
		{"k", Expect{Version: now}, ""},
		{"k", Expect{Value: []byte(`"secret"`)}, ""},
		{"k", Expect{Value: []byte(`"secret"`), Type: "note"}, ""},
		{"k", Expect{Value: []byte(`"secret"`), Type: "task"}, `its type is "note", not "task"`},
		{"k", Expect{Value: []byte(`1`), Type: "note"}, "its value, with version " + now.String() + ", is another"},
		{"k", Expect{Version: other}, "it has version " + now.String() + ", not " + other.String()},
		{"k", Expect{Absent: true}, "it is there, with version " + now.String()},
		{"none", Expect{Absent: true}, ""},
		{"none", Expect{Version: now}, "it is not there"},
		{"none", Expect{Value: []byte(`1`)}, "it is not there"},
	} {
		_, err := d.db.Commit([]Op{{Kind: OpCheck, Collection: notes, Key: x.key, Expect: &x.expect}}, nil)
		switch {
		case x.want == "" && err != nil:
			t.Errorf("%s %+v: %v", x.key, x.expect, err)
		case x.want != "" && (!errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s %+v: %v, want %s", x.key, x.expect, err, x.want)
		}
	}
}
