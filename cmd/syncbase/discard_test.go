package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/sdk/client"
)

func TestParseRefused(t *testing.T) {
	for text, want := range map[string]client.RefusedCommit{
		"3": {ID: 3}, "3775143cc6015c26.1-42": {Writer: "3775143cc6015c26.1", Generation: 42},
	} {
		got, err := parseRefused(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, wrong := range []string{"", "0", "x", "-3", "3775143cc6015c26.1-", "3775143cc6015c26.1-0", "18446744073709551616"} {
		if got, err := parseRefused(wrong); err == nil {
			t.Errorf("%q is taken for %+v", wrong, got)
		}
	}
}
