package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// nestedCase says under which prefixes a responder hears of others, of each from a writer of its own, and under which it shares
// with an initiator. Every prefix is that of a syncgroup.
type nestedCase struct{ heard, wanted []string }

var nestedCases = map[string]nestedCase{
	"two that nest, and one beside":      {[]string{"foo", "foobar", "bar"}, []string{"foobar", "bar"}},
	"nothing is heard":                   {nil, []string{"foo", "foobar"}},
	"wider, the same and narrower":       {[]string{"f", "foo", "foobar"}, []string{"foo"}},
	"narrower alone":                     {[]string{"foobar"}, []string{"foo"}},
	"interleaved, what is heard wider":   {[]string{"f", "foo", "foobar"}, []string{"fo", "foob", "foobarxyz"}},
	"interleaved, what is wanted wider":  {[]string{"fo", "foob", "foobarxyz"}, []string{"f", "foo", "foobar"}},
	"two within one":                     {[]string{"foo", "foobarabc", "foobarxyz"}, []string{"foo"}},
	"wider, narrower and of another row": {[]string{"barbaz", "f", "foobar"}, []string{"foo", "foobar", "bar"}},
}

// nestedKeys lie at each of the prefixes, between them and outside of all.
var nestedKeys = []string{"f", "fo", "foo", "foob", "foobar", "foobarabc", "foobarx", "foobarxyz", "ba", "bar", "barbaz", "g", "x"}

// within tells whether a key lies under one of the prefixes.
func within(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
}

func (d *device) keys() (list []string) {
	d.t.Helper()
	err := d.db.Scan(notes.Collection, rows.ScanRange{}, func(r *rows.RowView) (bool, error) {
		list = append(list, string(r.Key))
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// nested is the devices of a case.
type nested struct {
	nestedCase
	// writers are those of which the responder hears; the key is the prefix.
	writers             map[string]*device
	responder           *device
	initiator, follower *device
	// sent are the rows that the responder has sent to the initiator.
	sent []string
}

func newNested(t *testing.T, c nestedCase) *nested {
	n := &nested{nestedCase: c, responder: newDevice(t, "r"), initiator: newDevice(t, "i"), follower: newDevice(t, "j"), writers: map[string]*device{}}
	if err := n.responder.db.CreateCollection(notes.Collection, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, prefix := range slices.Concat(c.heard, c.wanted) {
		if !made[prefix] {
			n.responder.shareUnder(prefix, prefix)
		}
		made[prefix] = true
	}
	for i, prefix := range c.heard {
		w := newDevice(t, string(rune('A'+i)))
		w.join(prefix, n.responder)
		n.writers[prefix] = w
		n.responder.follow(w, w.from(n.responder, nil))
		w.follow(n.responder, n.responder.from(w, nil))
	}
	for _, prefix := range c.wanted {
		n.initiator.join(prefix, n.responder)
		n.follower.join(prefix, n.responder)
	}
	settle() // the writers have the collection
	return n
}

// settle waits until nothing is under way.
func settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (n *nested) note(m delta.Message) (delta.Message, error) {
	for _, data := range m.Commits {
		c, err := wire.DecodeCommit(slices.Clone(data))
		if err != nil {
			return m, err
		}
		for _, e := range c.Records {
			if e.Collection.Kind == id.Rows && e.Record.Key != "" {
				n.sent = append(n.sent, e.Record.Key)
			}
		}
	}
	return m, nil
}

// write has everybody write every key that may be, and returns what of that the initiator shall have. A writer can write where
// nobody shares with it, too.
func (n *nested) write(round int) (want []string) {
	write := func(d *device, heard []string) {
		for _, key := range nestedKeys {
			key := fmt.Sprintf("%s-%d%s", key, round, d.name)
			d.put("notes", key, `1`)
			if within(key, heard) && within(key, n.wanted) {
				want = append(want, key)
			}
		}
	}
	write(n.responder, []string{""})
	for prefix, w := range n.writers {
		write(w, []string{prefix})
	}
	slices.Sort(want)
	return want
}

// reference: sync-051 of two prefixes that nest and one beside them, each is answered with all that is known under it.
//
// reference: sync-052 who has heard of nobody sends what it wrote itself, and nothing else.
//
// reference: sync-053 what is known of a wider prefix and of a narrower one is sent as far as it lies under the wanted one.
//
// reference: sync-054 what is known of a narrower prefix alone is sent to who wants the wider one.
//
// reference: sync-056 prefixes of both sides that interleave, those of the responder wider: all that lies under a wanted one is sent.
//
// reference: sync-057 prefixes that interleave, those of the initiator wider: it gets what is known of any part of them.
//
// reference: sync-058 what is known of two prefixes within the wanted one, neither of which is in the other, is all sent.
//
// reference: sync-059 the same for wider, narrower and unrelated prefixes at once.
//
// In each of them what is outside of the wanted prefixes is not sent; once both have met, what is written is sent once and what was
// sent before is not; and what the initiator says that it knows is true: whoever pulls from it alone gets the same rows.
func TestNestedPrefixesAreAnsweredExactly(t *testing.T) {
	for name, c := range nestedCases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNested(t, c)
				var all []string
				for round := range 2 {
					want := n.write(round)
					all = append(all, want...)
					settle()
					if round == 0 { // the responder knows all that before it is asked, and what comes then while it is
						n.initiator.follow(n.responder, n.responder.from(n.initiator, n.note))
						n.follower.follow(n.initiator, n.initiator.from(n.follower, nil))
						settle()
					}
					slices.Sort(n.sent)
					if round == 0 { // who first hears of a prefix within its own asks anew, and the answer may have been under way
						n.sent = slices.Compact(n.sent)
					}
					if diff := cmp.Diff(want, n.sent); diff != "" {
						t.Errorf("round %d: sent (-want +got):\n%s", round, diff)
					}
					n.sent = nil
				}
				slices.Sort(all)
				for _, d := range []*device{n.initiator, n.follower} {
					if diff := cmp.Diff(all, d.keys()); diff != "" {
						t.Errorf("%s has (-want +got):\n%s", d.name, diff)
					}
				}
			})
		})
	}
}
