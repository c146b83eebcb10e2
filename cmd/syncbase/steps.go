package main

import (
	"fmt"
	"strings"
	"time"
)

// stepEvery is how often a step that goes on says how far it is.
const stepEvery = 5 * time.Second

// steps tells on standard error, line by line, what something that takes long is doing: when that changes, and now and then how
// far it is. For programs, which read the end, it is silent.
func (a *app) steps() func(doing string, done, of int) {
	last, at := "", time.Time{}
	return func(doing string, done, of int) {
		now := time.Now()
		if a.json() || doing == last && now.Sub(at) < stepEvery {
			return
		}
		last, at = doing, now
		line := strings.Builder{}
		fmt.Fprintf(&line, "syncbase: %s", doing)
		switch {
		case of > 0:
			fmt.Fprintf(&line, ": %d of %s", done, count(of, "file"))
		case done > 0:
			fmt.Fprintf(&line, ": %s", count(done, "key"))
		}
		fmt.Fprintln(a.err, line.String())
	}
}
