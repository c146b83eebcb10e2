package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Keys stay what they are when the bytes that they were made of are used for the next one, however long they are.
func TestKeyStringsStay(t *testing.T) {
	var keys keyStrings
	var buffer []byte
	var got, want []string
	for i := range 3000 {
		key := fmt.Sprintf("%05d%s", i, strings.Repeat("x", i%37))
		if i%1000 == 999 {
			key += strings.Repeat("y", 2*maxKeyBlock)
		}
		want = append(want, key)
		buffer = append(buffer[:0], key...)
		got = append(got, keys.string(buffer))
	}
	if !slices.Equal(got, want) {
		t.Error("keys changed")
	}
	if got := keys.string(nil); got != "" {
		t.Errorf("no bytes make %q", got)
	}
}
