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
	plain, err := plainText(strings.NewReader(text))
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
	zipped := compress(t, `{"key":"z","value":1}`)
	cut := zipped[:len(zipped)-10]
	damaged := zipped[:len(zipped)-8] + "xxxx" + zipped[len(zipped)-4:]
	cutTable := compress(t, "key,value\na,1\nb,2\n")
	cutTable = cutTable[:len(cutTable)-9]
	for _, c := range []struct {
		what, format, key, text string
		want                    []string
	}{
		{"rows", "jsonl", "", "{\"key\":\"a\",\"value\":{\"n\": 1}}\n\n{\"value\":null,\"key\":\"b\"}", []string{`a={"n": 1}`, "b=null"}},
		{"bytes", "jsonl", "", `{"key":"a","base64":"aGk="}`, []string{"a=hi"}},
		{"compressed", "jsonl", "", zipped, []string{"z=1"}},
		{"objects", "jsonl", "id", `{"id":"x", "n":1}` + "\n" + `{"id":7}`, []string{`x={"id":"x", "n":1}`, `7={"id":7}`}},
		{"no field", "jsonl", "id", `{"n":1}`, []string{`error: line 1: no field "id"`}},
		{"no key", "jsonl", "", `{"key":"a","value":1}` + "\n" + `{"value":1}`, []string{"a=1", `error: line 2: no "key"; say with --key which field holds the key`}},
		{"no value", "jsonl", "", `{"key":"a"}`, []string{`error: line 1: no "value" beside the key "a"`}},
		{"unknown field", "jsonl", "", `{"key":"a","value":1,"vlaue":2}`, []string{`error: line 1: column 22: unknown field "vlaue"`}},
		{"no key, and more", "jsonl", "", `{"id":"a","n":1}`, []string{`error: line 1: no "key"; say with --key which field holds the key`}},
		{"two values", "jsonl", "", `{"key":"a","value":1,"base64":"aGk="}`, []string{`error: line 1: "value" and "base64" beside the key "a" cannot go together`}},
		{"half a character", "jsonl", "", `{"key":"a\ud83d\ude00","value":"\ud800"}` + "\n" + `{"key":"a\ud800","value":1}`,
			[]string{"a😀=\"\\ud800\"", `error: line 2: column 8: key: \ud800 is half a character, which a text cannot have`}},
		{"half a character in a field", "jsonl", "id", `{"id":"\udc00"}`, []string{`error: line 1: "id": \udc00 is half a character, which a text cannot have`}},
		{"marked as UTF-8", "jsonl", "", "\ufeff{\"key\":\"a\",\"value\":1}", []string{"a=1"}},
		{"table marked as UTF-8", "csv", "name", "\ufeffname,n\nann,1\n", []string{`ann={"name":"ann","n":"1"}`}},
		{"UTF-16", "jsonl", "", "\xff\xfe{\x00", []string{"the text is UTF-16; import takes UTF-8, to which iconv -f UTF-16 -t UTF-8 converts it"}},
		{"text that is not UTF-8", "jsonl", "", `{"key":"a","value":1}` + "\n" + `{"key":"a","value":"` + "\xff\"}", []string{"a=1", "error: line 2: column 21: it is not UTF-8"}},
		{"cut short", "jsonl", "", cut, []string{"z=1", "error: line 2: the compressed file is cut short"}},
		{"cut short in its beginning", "jsonl", "", cut[:6], []string{"the compressed file is cut short"}},
		{"table that is cut short", "csv", "", cutTable, []string{`a={"key":"a","value":"1"}`, `b={"key":"b","value":"2"}`, "error: after line 3: the compressed file is cut short"}},
		{"damaged", "jsonl", "", damaged, []string{"z=1", "error: line 2: the compressed file is damaged: gzip: invalid checksum"}},
		{"empty table", "csv", "", "", []string{"the file is empty; its first line has the names of the columns"}},
		{"two columns of one name", "csv", "", "name,n,name\nann,1,bob\n", []string{`line 1: columns 1 and 3 have the same name, "name"`}},
		{"column that is not UTF-8", "csv", "", "name,\xff\n", []string{`line 1: the name of column 2, "\xff", is not UTF-8`}},
		{"cell that is not UTF-8", "csv", "", "name,n\nann,1\nbob,\xff\n", []string{`ann={"name":"ann","n":"1"}`, `error: line 3: column "n" is not UTF-8: "\xff"`}},
		{"too many cells", "csv", "", "name\nann\nbob,1\n", []string{`ann={"name":"ann"}`, "error: record on line 3: wrong number of fields"}},
		{"nothing", "jsonl", "", "", nil},
		{"table", "csv", "", "name,note\nann,\"say \"\"hi\"\"\"\nbob,<b>\n", []string{`ann={"name":"ann","note":"say \"hi\""}`, `bob={"name":"bob","note":"<b>"}`}},
		{"table by column", "csv", "note", "name,note\nann,n1\n", []string{`n1={"name":"ann","note":"n1"}`}},
		{"table without the column", "csv", "id", "name\nann\n", []string{`line 1: no column "id"`}},
		{"other format", "xml", "", "", []string{`format "xml": want jsonl or csv`}},
	} {
		if diff := cmp.Diff(c.want, read(c.format, c.key, c.text)); diff != "" {
			t.Errorf("%s: -wanted +read:\n%s", c.what, diff)
		}
	}
}

func compress(t *testing.T, text string) string {
	t.Helper()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.String()
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
		if diff := cmp.Diff(record{key: row.Key, value: row.Value, line: 1}, got, cmp.AllowUnexported(record{})); diff != "" {
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
