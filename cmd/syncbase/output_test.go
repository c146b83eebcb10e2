package main

import (
	"bytes"
	"errors"
	"testing"
)

// What peers and writers of rows give a name or a description does not move the cursor of who lists it, nor forge a row of the list.
func TestTablesCommandNoTerminal(t *testing.T) {
	var out bytes.Buffer
	table := (&app{out: &out}).table("NAME", "DESCRIPTION")
	for _, text := range []string{"plain \u00fc  text", "\x1b]0;title\a\x1b[2K", "a\nFORGED\trow", "\u009b2J\u202eright to left"} {
		if err := table.row(nil, "x", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	const want = "NAME  DESCRIPTION\n" +
		"x     plain \u00fc  text\n" +
		"x     \ufffd]0;title\ufffd\ufffd[2K\n" +
		"x     a FORGED row\n" +
		"x     \ufffd2J\ufffdright to left\n"
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := oneLine(errors.New("no\n\x1b[1m")); got != "no; \ufffd[1m" {
		t.Errorf("an error reads %q", got)
	}
}
