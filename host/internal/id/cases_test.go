package id_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

// reference: store-004 every owner with every name, written as one text, is read back as it was, whatever colons, commas and
// slashes are in it.
//
// reference: store-005 a valid owner with a valid name passes, and if either is not, it does not, whatever the other is; keys
// pass up to the greatest length, and not if they are empty, longer, or have control characters or bytes that are no text.
func TestEveryOwnerWithEveryName(t *testing.T) {
	owners := map[id.Principal]bool{
		"d": true, "d/alice": true, "d/alice/device/phone": true, "home-1.local/a_b/c.d": true,
		"": false, "/": false, "d/": false, "D": false, "d/a b": false, "d/a:b": false, "d/a,b": false, "d/\xff": false,
	}
	locals := map[string]bool{
		"c": true, "a,b": true, "a:b": true, "a/b": true, ":": true, "%2F": true, "ключ": true, strings.Repeat("n", id.MaxNameLen): true,
		"": false, "\x00": false, "a\nb": false, "\xff": false, "\xfc": false, strings.Repeat("n", id.MaxNameLen+1): false,
	}
	for owner, goodOwner := range owners {
		for local, goodLocal := range locals {
			n := id.Name{Owner: owner, Local: local}
			if got := n.Validate() == nil; got != (goodOwner && goodLocal) {
				t.Errorf("%.40q with %.40q passes: %v", owner, local, got)
			}
			if !goodOwner || !goodLocal {
				continue
			}
			if again, err := id.ParseName(n.String(), "d/other"); err != nil || again != n {
				t.Errorf("%.40q was read as %+v, %v", n.String(), again, err)
			}
		}
	}
	for key, good := range map[string]bool{
		"k": true, "a,b/c:d": true, strings.Repeat("k", id.MaxKeyLen): true,
		"": false, strings.Repeat("k", id.MaxKeyLen+1): false, "\x00": false, "a\x1f": false, "\xfc": false, "\xfe": false, "\xff": false,
	} {
		if err := id.ValidateKey(key); (err == nil) != good || err != nil && !errors.Is(err, id.ErrInvalid) {
			t.Errorf("key %.20q: %v", key, err)
		}
	}
}
