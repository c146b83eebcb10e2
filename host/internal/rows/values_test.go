package rows

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// pickyRefs refuses every value that holds the word bad.
type pickyRefs struct{}

func (pickyRefs) CheckValue(value []byte) error {
	if bytes.Contains(value, []byte("bad")) {
		return errors.New("holds a bad reference")
	}
	return nil
}

func (pickyRefs) IndexRow(*kv.Batch, uint32, uint32, string, []byte, []byte) error { return nil }

func (pickyRefs) DropDatabase(*kv.Batch, uint32) error { return nil }

// badValues are refused from local writers, with what the message must say.
var badValues = map[string]struct{ value, want string }{
	"malformed reference": {`{"x":"bad"}`, `value for "y": holds a bad reference`},
	"invalid UTF-8":       {"{\"x\":\"a\xffb\"}", `value for "y" is JSON with text that is not UTF-8; store bytes as raw (--raw)`},
	"invalid UTF-8 key":   {"{\"\xc3\x28\":1}", `not UTF-8; store bytes as raw`},
	"no JSON":             {`{`, `value for "y" cannot be kept as JSON: column 2: the text ends too early; store bytes as raw`},
	"bytes":               {"\xff\xfe", `value for "y" cannot be kept as JSON: column 1: invalid character 'ÿ' looking for beginning of value; store bytes as raw`},
	"nested too deep":     {strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), `value for "y" cannot be kept as JSON: column 10001: it is nested more than 10,000 deep; store bytes as raw`},
}

func TestBadValuesAreRefusedAndChangeNothing(t *testing.T) {
	d := newDevice(t, 1).create()
	d.s.opts.References = pickyRefs{}
	d.put("a", `1`)
	before := d.db.Published()
	for name, c := range badValues {
		_, err := d.db.Commit([]Op{put("x", `1`), put("y", c.value)}, nil)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Commit = %v, want ErrInvalid with %s", name, err, c.want)
		}
		tx := d.begin()
		if err := tx.Write(put("x", `1`), put("y", c.value)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Write = %v, want ErrInvalid with %s", name, err, c.want)
		}
		if got := txRows(t, tx, ScanRange{}); len(got) != 1 {
			t.Errorf("%s: after a refused Write the batch has %v", name, got)
		}
		if err := tx.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	d.want("a=1")
	if after := d.db.Published(); after.Seq != before.Seq || after.Know.Own() != before.Know.Own() {
		t.Errorf("log moved from %v to %v", before, after)
	}
	raw := Op{Collection: notes, Key: "raw", Value: []byte("bad \xff"), Raw: true}
	if _, err := d.db.Commit([]Op{raw, {Kind: OpDelete, Collection: notes, Key: "bad"}}, nil); err != nil {
		t.Errorf("raw bytes and a delete: %v", err)
	}
}

// What a peer sends has been accepted there: refusing it here would only stop the sync.
func TestMalformedReferencesOfPeersAreTaken(t *testing.T) {
	lax, strict := newDevice(t, 1).create(), newDevice(t, 2).create()
	strict.s.opts.References = pickyRefs{}
	lax.put("a", `{"x":"bad"}`)
	strict.pull(lax)
	strict.want(`a={"x":"bad"}`)
}

// Access lists are not values of a user and hold no references, whatever the names in them are.
func TestAccessListsAreNotCheckedForReferences(t *testing.T) {
	d := newDevice(t, 1)
	d.s.opts.References = pickyRefs{}
	c := id.Collection{Name: id.Name{Owner: owner, Local: "other"}}
	if err := d.db.CreateCollection(c, perm.For("bad.local/owner", perm.CollectionTags)); err != nil {
		t.Error(err)
	}
}
