package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// reference: store-007 a prefix stands for the range from itself to the least key that is greater than all that begin with it, and for
// no other: rows just before, just after, and of the prefix alone.
func TestPrefixIsARange(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	keys := []string{"a", "a!", "aa", "ab", "ab/c", "ab~", "abÿ", "ab\U0010ffff", "ab\U0010ffff\U0010ffff", "ac", "b", "z", "é", "é!", "ê", "\U0010ffff"}
	for _, key := range keys {
		if _, err := c.Put(t.Context(), key, 1); err != nil {
			t.Fatal(err)
		}
	}
	scanned := func(r client.Range) (got []string) {
		t.Helper()
		for row, err := range c.Scan(t.Context(), r) {
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			got = append(got, row.Key)
		}
		return got
	}
	for prefix, next := range map[string]string{
		"": "", "a": "b", "ab": "ac", "ab/": "ab0", "abÿ": "abĀ", "é": "ê", "z": "{", "zz": "z{", "ab\U0010ffff": "ac", "\U0010ffff": "", "nothing": "nothinh",
	} {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if got := scanned(client.Range{Prefix: prefix}); !slices.Equal(got, want) {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
		if got := scanned(client.Range{Start: prefix, Limit: next}); !slices.Equal(got, want) {
			t.Errorf("from %q to %q: %q, want %q", prefix, next, got, want)
		}
	}
	// A range that is none of a prefix.
	if got, want := scanned(client.Range{Start: "ab", Limit: "ab~"}), []string{"ab", "ab/c"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := c.DeleteRange(t.Context(), client.Range{Prefix: "ab"}); err != nil {
		t.Fatal(err)
	}
	if got, want := scanned(client.Range{}), slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return strings.HasPrefix(k, "ab") }); !slices.Equal(got, want) {
		t.Errorf("after deleting the prefix: %q, want %q", got, want)
	}
}
