package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

// One long name does not push the columns of all the others off the screen, nor hide what stands in the last one; and alarms are shown.
func TestStatusIsNarrow(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: &out}
	long := strings.Repeat("long", 200)
	s := client.Status{
		Name: "desk", Principal: "home.local/owner/device/desk",
		Databases:  []client.DatabaseSpace{{Database: "home.local/owner:notes"}, {Database: "home.local/owner:" + long}},
		Syncgroups: []client.SyncgroupState{{Database: "home.local/owner:" + long, Name: "home.local/owner:" + long, Members: 7}},
		Plugins:    []client.Plugin{{Name: long, Version: long, Message: "the last column"}},
		Alarms:     []client.Alarm{{Kind: "disk", Text: "make room", Since: time.Unix(1, 0)}},
	}
	if err := a.describe(&s); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 160 {
			t.Errorf("a line of %d characters: %s", n, line)
		}
	}
	for _, want := range []string{"longlon…  0.0 MiB", "notes ", "the last column\n", "alarm", "make room"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// The help of all that takes an access list says what a pattern is.
func TestHelpOfLists(t *testing.T) {
	for _, args := range []string{"perms --help", "db perms --help", "collection perms --help"} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, getenv: func(string) string { return "" }}
		code := a.run(context.Background(), strings.Fields(args))
		for _, want := range []string{"not_in", "/$ ", "\n  ...  ", "Resolve"} {
			if code != exitDone || !strings.Contains(out.String(), want) {
				t.Errorf("%s: exit code %d, no %q in\n%s", args, code, want, out.String())
			}
		}
	}
}
