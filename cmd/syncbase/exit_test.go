package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

const someRef = "blob1-0000000000000000000000000000000000000000000000000000000000000000"

// TestUsage wants exit code 2, nothing on standard output and a word of advice for every mistake in the words or flags.
func TestUsage(t *testing.T) {
	for _, args := range []string{
		"nonsense", "db", "db nonsense", "db create", "db create a b", "get a b", "put a b c", "status --nonsense", "status extra",
		"-o yaml status", "--address nonsense status", "--address host:1 status", "--address unix://relative status",
		"scan a b --prefix p --start s", "scan a b --max -1", "delete-range a b", "delete-range a b --prefix p --start s", "import a b",
		"db settings a --durability maybe", "db settings a --quota -1", "db pause", "schema set a", "schema get", "perms a",
		"syncgroup create a b", "syncgroup wait a b --timeout soon", "identity issue x", "plugin check x --config {",
		"watch a --resume m --initial", "db perms a --set {", "db perms a --set null", `db perms a --set {"Read":{"inn":[]}}`,
		"watch a --resume=", "watch a --pattern c", "watch a --pattern o/x:c", "perms --version 7", "db perms a --version 7", "collection perms a b --version 7", "db perms a --set= ", "serve extra", "config check",
		"serve --peer-listen nonsense", "serve --peer-listen host:port", "serve --peer-listen 127.0.0.1:70000", "serve --peer-listen=:-1",
		"config print --peer-listen nonsense",
		"delete-range a b --prefix=", "delete-range a b --all --prefix p", "clock --shift 2000000h", "clock --shift -2000000h", "clock --shift 99999999999h",
		"syncgroup wait a b --timeout -1s", "syncgroup wait a b --timeout 99999999h", "import a b c --skip -1", "import a b c --skip 99999999999999999999999",
		"scan a b --max 99999999999999999999", "syncgroup create a b -c x --priority -1", "syncgroup create a b -c x --priority 4294967296",
		"blob get a " + someRef + " --offset -1", "db settings a --quota 99999999999999999999", "syncgroup create a b -c x --member-type king",
		"doctor --accept-loss", "blob get a " + someRef + " -o json", "blob get a " + someRef + " --length 0",
	} {
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "unix:///nowhere" }}
		if code := a.run(context.Background(), strings.Fields(args)); code != exitUsage {
			t.Errorf("%s: exit code %d, want %d; %s", args, code, exitUsage, errs.String())
		}
		if out.Len() > 0 || !strings.HasPrefix(errs.String(), "syncbase: ") || !strings.Contains(errs.String(), "--help'") {
			t.Errorf("%s: printed %q and %q", args, out.String(), errs.String())
		}
	}
}

// TestEmptyDirectories wants a directory that is an empty text refused: it would be the working directory.
func TestEmptyDirectories(t *testing.T) {
	for _, command := range []string{"backup", "restore"} {
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "unix:///nowhere" }}
		if code := a.run(context.Background(), []string{command, ""}); code != exitUsage || !strings.Contains(errs.String(), "DIR is an empty text") {
			t.Errorf("%s: exit code %d, want %d; %s", command, code, exitUsage, errs.String())
		}
	}
}

// TestHelp wants an example with every command.
func TestHelp(t *testing.T) {
	a := &app{}
	root := a.root()
	todo := root.Commands()
	for len(todo) > 0 {
		cmd := todo[0]
		todo = append(todo[1:], cmd.Commands()...)
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
	}
}

func TestParseScope(t *testing.T) {
	for text, want := range map[string]string{
		"todo": "todo|", "todo:work/": "todo|work/", "todo:a:b": "todo|a:b", ":x/y:p": ":x/y|p",
		"home.local/owner:todo": "home.local/owner:todo|", "home.local/owner:todo:p": "home.local/owner:todo|p",
	} {
		s := parseScope(text)
		if got := s.Collection + "|" + s.Prefix; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
