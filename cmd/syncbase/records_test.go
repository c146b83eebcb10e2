package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/sdk/client"
)

// read reads all records as "key=value" lines; an error is the last.
func read(format, key, text string) []string {
	plain, err := uncompressed(strings.NewReader(text))
	if err != nil {
		return []string{err.Error()}
	}
	from, err := newRecords(format, plain, key)
	if err != nil {
		return []string{err.Error()}
	}
	var list []string
	for {
		r, err := from.next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			return append(list, "error: "+err.Error())
		}
		list = append(list, r.key+"="+string(r.value.Bytes))
	}
}

func TestRecords(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(`{"key":"z","value":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, format, key, text string
		want                    []string
	}{
		{"rows", "jsonl", "", "{\"key\":\"a\",\"value\":{\"n\": 1}}\n\n{\"value\":null,\"key\":\"b\"}", []string{`a={"n": 1}`, "b=null"}},
		{"bytes", "jsonl", "", `{"key":"a","base64":"aGk="}`, []string{"a=hi"}},
		{"compressed", "jsonl", "", zipped.String(), []string{"z=1"}},
		{"objects", "jsonl", "id", `{"id":"x", "n":1}` + "\n" + `{"id":7}`, []string{`x={"id":"x", "n":1}`, `7={"id":7}`}},
		{"no field", "jsonl", "id", `{"n":1}`, []string{`error: line 1: no field "id"`}},
		{"no key", "jsonl", "", `{"key":"a","value":1}` + "\n" + `{"value":1}`, []string{"a=1", `error: line 2: no "key"; say with --key which field holds the key`}},
		{"no value", "jsonl", "", `{"key":"a"}`, []string{`error: line 1: no "value" beside the key "a"`}},
		{"nothing", "jsonl", "", "", nil},
		{"table", "csv", "", "name,note\nann,\"say \"\"hi\"\"\"\nbob,<b>\n", []string{`ann={"name":"ann","note":"say \"hi\""}`, `bob={"name":"bob","note":"<b>"}`}},
		{"table by column", "csv", "note", "name,note\nann,n1\n", []string{`n1={"name":"ann","note":"n1"}`}},
		{"table without the column", "csv", "id", "name\nann\n", []string{`no column "id"`}},
		{"other format", "xml", "", "", []string{`format "xml": want jsonl or csv`}},
	} {
		if diff := cmp.Diff(c.want, read(c.format, c.key, c.text)); diff != "" {
			t.Errorf("%s: -wanted +read:\n%s", c.what, diff)
		}
	}
}

// TestExportReadsBack wants what export writes to be one line that import reads as the same row.
func TestExportReadsBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		row := client.Row{Key: rapid.StringN(1, 20, -1).Draw(rt, "key")}
		if row.Value.Raw = rapid.Bool().Draw(rt, "raw"); row.Value.Raw {
			row.Value.Bytes = rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(rt, "bytes")
		} else {
			text, err := json.Marshal(rapid.String().Draw(rt, "text"))
			if err != nil {
				rt.Fatal(err)
			}
			row.Value.Bytes = text
		}
		line := appendRow(nil, row)
		if bytes.Count(line, []byte("\n")) != 1 {
			rt.Fatalf("%q is not one line", line)
		}
		from, err := newRecords("jsonl", bytes.NewReader(line), "")
		if err != nil {
			rt.Fatal(err)
		}
		got, err := from.next()
		if err != nil {
			rt.Fatalf("%q: %v", line, err)
		}
		if diff := cmp.Diff(record{row.Key, row.Value}, got, cmp.AllowUnexported(record{})); diff != "" {
			rt.Fatalf("-exported +imported:\n%s", diff)
		}
	})
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"": `""`, "plain": `"plain"`, `a"b\c`: `"a\"b\\c"`, "<&>": `"<&>"`, "é": `"é"`, "a\nb": `"a\nb"`, "\x7f": "\"\x7f\"",
	} {
		if got := string(quote(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
