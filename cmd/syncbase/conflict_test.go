package main

import (
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// A table has room for two versions; that there are more is said.
func TestMoreVersionsAreCounted(t *testing.T) {
	version := func(value string) *client.ConflictVersion {
		return &client.ConflictVersion{Value: client.Value{Bytes: []byte(value)}}
	}
	c := client.Conflict{Local: *version(`1`), Remote: version(`2`)}
	if got := remoteText(&c); got != `2` {
		t.Errorf("of two versions: %q", got)
	}
	c.Others = []client.ConflictVersion{*version(`3`), *version(`4`)}
	if got := remoteText(&c); got != `2 (+2 more)` {
		t.Errorf("of four versions: %q", got)
	}
}
