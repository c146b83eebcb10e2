package strictjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/internal/strictjson"
)

type access struct {
	In []string `json:"in"`
}

type document struct {
	Version uint32            `json:"version"`
	Name    string            `json:"name"`
	Quota   *int64            `json:"quota"`
	Data    []byte            `json:"data"`
	Value   json.RawMessage   `json:"value"`
	On      bool              `json:"on"`
	Lists   map[string]access `json:"lists"`
	Rules   []rule            `json:"rules"`
}

type rule struct {
	Prefix string `json:"prefix"`
}

func TestDecode(t *testing.T) {
	quota := int64(-7)
	text := ` {"version": 3, "name": "\ud83d\ude00", "quota": -7, "data": "AQI=", "value": {"a":1, "a": "\ud800"},
		"on": true, "lists": {"Admin": {"in": ["x"]}, "admin": {}}, "rules": [{"prefix": "p"}, {}]} ` + "\n"
	var got document
	if err := strictjson.Decode([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := document{
		Version: 3, Name: "😀", Quota: &quota, Data: []byte{1, 2}, Value: json.RawMessage(`{"a":1, "a": "\ud800"}`), On: true,
		Lists: map[string]access{"Admin": {In: []string{"x"}}, "admin": {}}, Rules: []rule{{"p"}, {}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got = document{Name: "was there before"}
	if err := strictjson.Decode([]byte(`{"quota":null,"lists":null,"rules":null,"data":null,"value":null}`), &got); err != nil || got.Name != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "column 1: there is no JSON here"},
		{" \n ", "column 1: there is no JSON here"},
		{"{", "column 2: the text ends too early"},
		{strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "column 10001: it is nested more than 10,000 deep"},
		{"{} {}", "column 4: something follows the JSON value"},
		{"{}\n}", "line 2, column 1: something follows the JSON value"},
		{"{\n  name: 1}", "line 2, column 3: invalid character 'n' looking for beginning of object key string"},
		{"{\"name\": \"\xff\"}", "column 11: it is not UTF-8"},
		{"[]", "column 1: a list where an object is wanted"},
		{"null", "column 1: null where an object is wanted"},
		{`{"nmae": 1}`, `column 2: unknown field "nmae"`},
		{`{"Name": "x"}`, `column 2: unknown field "Name"`},
		{`{"name": "x", "name": "y"}`, `column 15: "name" is given twice`},
		{`{"name": "x", "n\u0061me": "y"}`, `column 15: "name" is given twice`},
		{`{"name": 7}`, `column 10: name: a number where a text is wanted`},
		{`{"name": null}`, `column 10: name: null where a text is wanted`},
		{`{"name": "\ud800"}`, `column 10: name: \ud800 is half a character, which a text cannot have`},
		{`{"\udc00": 1}`, `column 2: \udc00 is half a character, which the name of a field cannot have`},
		{`{"on": "true"}`, `column 8: on: a text where true or false is wanted`},
		{`{"version": 4294967296}`, `column 13: version: 4294967296 is not a whole number from 0 to 4294967295`},
		{`{"version": -1}`, `column 13: version: -1 is not a whole number from 0 to 4294967295`},
		{`{"version": 1.5}`, `column 13: version: 1.5 is not a whole number from 0 to 4294967295`},
		{`{"quota": 1e99}`, `column 11: quota: 1e99 is not a whole number from -9223372036854775808 to 9223372036854775807`},
		{`{"data": "?"}`, `column 10: data: "?" is not bytes in base64`},
		{`{"lists": {"A b": {"in": [1]}}}`, `column 27: lists["A b"].in[0]: a number where a text is wanted`},
		{`{"lists": {"Read": {}, "Read": {}}}`, `column 24: lists: "Read" is given twice`},
		{`{"lists": {"1": {}, "2": {}, "3": {}, "4": {}, "5": {}, "6": {}, "7": {}, "8": {}, "9": {}, "a": {}, "3": {}}}`, `column 102: lists: "3" is given twice`},
		{`{"lists": {"Read": {"In": []}}}`, `column 21: lists.Read: unknown field "In"`},
		{"{\"rules\": [\n {\"prefix\": \"ä\"},\n {\"prefix\": \"é\", \"key\": 1}]}", `line 3, column 18: rules[1]: unknown field "key"`},
	} {
		got := document{Name: "untouched"}
		err := strictjson.Decode([]byte(c.text), &got)
		var fault *strictjson.Fault
		if !errors.As(err, &fault) || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
		if got.Name != "untouched" {
			t.Errorf("%q was written in part: %+v", c.text, got)
		}
	}
}

// FuzzDecode holds what is read against what encoding/json reads of it: strict means less, never other.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"version": 3, "name": "\ud83d\ude00", "value": {"a": [1, "}"]}, "rules": [{"prefix": "\"]"}]}`))
	f.Add([]byte(`{"lists": {"Read": {"in": ["a", "b"]}}} {}`))
	f.Add([]byte("{\"data\": \"AQI=\", \"quota\": -1}\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var strict, plain document
		if err := strictjson.Decode(data, &strict); err != nil {
			if fault := new(strictjson.Fault); !errors.As(err, &fault) || fault.Line < 1 || fault.Line > fault.Lines+bytes.Count(data, []byte("\n")) || fault.Column < 1 {
				t.Errorf("%q: %#v", data, err)
			}
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&plain); err != nil {
			t.Errorf("%q was taken: %v", data, err)
		}
		if diff := cmp.Diff(plain, strict); diff != "" {
			t.Errorf("%q: -encoding/json +strict:\n%s", data, diff)
		}
	})
}

func BenchmarkDecodeLine(b *testing.B) {
	line := []byte(`{"key":"todo/000001","value":{"done":false,"text":"0123456789012345678901234567890123456789"}}`)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		var o struct {
			Key   *string         `json:"key"`
			Value json.RawMessage `json:"value"`
		}
		if err := strictjson.Decode(line, &o); err != nil {
			b.Fatal(err)
		}
	}
}
