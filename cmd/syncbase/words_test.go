package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// TestWrongValues wants what is wrong whatever the daemon holds refused as wrong usage, in words of people.
func TestWrongValues(t *testing.T) {
	ref := "blob1-" + strings.Repeat("0a", 32)
	for _, c := range []struct {
		want string
		args []string
	}{
		{"DB is empty", []string{"db", "create", ""}},
		{`DB "home.local/owner:": there is no name`, []string{"db", "create", "home.local/owner:"}},
		{`COLLECTION "a\xff" is not UTF-8`, []string{"scan", "a", "a\xff"}},
		{"KEY is empty", []string{"get", "a", "b", ""}},
		{`KEY "a\nb" has a control character`, []string{"put", "a", "b", "a\nb", "1"}},
		{"DB has 1025 bytes, the limit is 1024", []string{"db", "create", "home.local/owner:" + strings.Repeat("a", 1025)}},
		{"COLLECTION has 1026 bytes, the limit is 1024", []string{"scan", "a", strings.Repeat("é", 513)}},
		{"SG has 1025 bytes, the limit is 1024", []string{"syncgroup", "wait", "a", strings.Repeat("a", 1025)}},
		{"DB has 1025 bytes, the limit is 1024", []string{"db", "create", strings.Repeat("a", 1025) + ":b"}},
		{"KEY has 4097 bytes, the limit is 4096", []string{"get", "a", "b", strings.Repeat("k", 4097)}},
		{"--type has 257 bytes, the limit is 256", []string{"put", "a", "b", "c", "1", "--type", strings.Repeat("t", 257)}},
		{`--type "a\nb" has a control character`, []string{"put", "a", "b", "c", "1", "--type", "a\nb"}},
		{"--prefix has 4098 bytes", []string{"scan", "a", "b", "--prefix", strings.Repeat("k", 4098)}},
		{"--limit has 4098 bytes", []string{"delete-range", "a", "b", "--limit", strings.Repeat("k", 4098)}},
		{"--prefix cannot go together", []string{"delete-range", "a", "b", "--prefix", "k", "--start", "l"}},
		{`DB "A:b": before the colon stands no principal`, []string{"db", "create", "A:b"}},
		{`COLLECTION "a/../b:c": before the colon stands no principal`, []string{"scan", "a", "a/../b:c"}},
		{"SG is empty", []string{"syncgroup", "wait", "a", ""}},
		{`--member-type "zap": want normal, server or leaf`, []string{"syncgroup", "join", "a", "b", "--member-type", "zap"}},
		{`--member-type "zap": want normal, server or leaf`, []string{"syncgroup", "create", "a", "b", "-c", "c", "--member-type", "zap"}},
		{"--collection is empty", []string{"syncgroup", "create", "a", "b", "-c", ""}},
		{`reference "zap": want blob1-`, []string{"blob", "stat", "a", "zap"}},
		{"want blob1- and 64 lower-case", []string{"blob", "get", "a", strings.ToUpper(ref)}},
		{`--version "zap": that is no version`, []string{"db", "perms", "a", "--set", "{}", "--version", "zap"}},
		{`--pick "foo": want local, remote, delete or a value, which is JSON`, []string{"conflict", "resolve", "a", "b", "k", "--pick", "foo"}},
		{`with a file write --set @list.json`, []string{"db", "perms", "a", "--set", "list.json"}},
		{`"--max" flag: want a whole number, 0 or more`, []string{"scan", "a", "b", "--max", "-1"}},
		{`"--priority" flag: want a whole number, and not one that large`, []string{"blob", "fetch", "a", ref, "--priority", "9999999999"}},
		{`"--timeout" flag: want a time such as`, []string{"syncgroup", "wait", "a", "b", "--timeout", "soon"}},
		{"at most 103 bytes", []string{"status", "--address", "unix:///" + strings.Repeat("a", 103)}},
	} {
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &errs, getenv: func(string) string { return "unix:///nowhere" }}
		if code := a.run(context.Background(), c.args); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, code, errs.String())
		}
		if strings.Contains(errs.String(), "strconv") {
			t.Errorf("%q: %s", c.args, errs.String())
		}
	}
	for _, good := range []struct{ what, text string }{{"DB", ":a:b"}, {"DB", "home.local/owner:a"}, {"DB", "é"}, {"DB", "spiffe://a/b:c"}, {"SG", ":" + strings.Repeat("a", 1024)}, {"KEY", strings.Repeat("k", 4096)}, {"REF", ref}, {"KEY", ":"}} {
		if err := checks[good.what](good.what, good.text); err != nil {
			t.Errorf("%s %q: %v", good.what, good.text, err)
		}
	}
}
