package main

import (
	"strings"
	"testing"
)

// Steps are told when they begin, not each time that something is done, and to people alone.
func TestSteps(t *testing.T) {
	for output, want := range map[string]string{
		"text": "syncbase: reading: 0 of 3 files\nsyncbase: saving: 1 key\n",
		"json": "",
	} {
		var out strings.Builder
		told := (&app{err: &out, output: output}).steps()
		told("reading", 0, 3)
		told("saving", 1, 0)
		for n := range 1000 {
			told("saving", n, 0)
		}
		// However slow the machine is, what goes on is told every few seconds at most.
		if !strings.HasPrefix(out.String(), want) || strings.Count(out.String(), "\n") > 100 || (want == "") != (out.Len() == 0) {
			t.Errorf("%s: %q, want %q", output, out.String(), want)
		}
	}
}
