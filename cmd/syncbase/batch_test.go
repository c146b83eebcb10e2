package main

import (
	"strings"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

func TestParseOperation(t *testing.T) {
	db := (&client.Client{}).Database("notes")
	for line, want := range map[string]string{
		`{"op":"put","collection":"c","key":"k","value":null}`:                  "",
		` {"op":"put","collection":"c","key":"k","base64":"","type":"t"} `:      "",
		`{"op":"delete","collection":"c","key":"k"}`:                            "",
		`{"op":"check","collection":"c","key":"k","base64":""}`:                 "",
		`{"op":"check","collection":"c","key":"k","absent":true}`:               "",
		`{"op":"put","collection":"c","key":"k","vlaue":1}`:                     `column 40: unknown field "vlaue"`,
		`{"op":"put","collection":"c","key":"k","value":1,"base64":""}`:         `put of "k": "value" and "base64" cannot go together`,
		`{"op":"put","collection":"c","key":"k"}`:                               `put of "k": no "value", and no "base64"`,
		`{"op":"put","collection":"c","key":"k","value":1,"version":"v"}`:       `put of "k": "version" and "absent" are for checks`,
		`{"op":"delete","collection":"c","key":"k","value":1}`:                  `delete of "k": takes no value and no type`,
		`{"op":"check","collection":"c","key":"k"}`:                             `check of "k": has 0 of "value", "base64", "version" and "absent", want one of them`,
		`{"op":"check","collection":"c","key":"k","absent":true,"version":"v"}`: `check of "k": has 2 of "value", "base64", "version" and "absent", want one of them`,
		`{"op":"check","collection":"c","key":"k","value":1,"type":"t"}`:        "",
		`{"op":"check","collection":"c","key":"k","value":1,"type":""}`:         `check of "k": "type" is empty; leave it out for any type`,
		`{"op":"check","collection":"c","key":"k","absent":true,"type":"t"}`:    `check of "k": "type" goes with "value" or "base64"`,
		`{"op":"check","collection":"c","key":"k","absent":false}`:              `check of "k": "absent" is false; it can only be true`,
		`{"op":"check","collection":"c","key":"k","version":""}`:                `check of "k": "version" is empty; "absent":true is for a row that is not there`,
		`{"op":"put","collection":"c","key":"k","value":1,"absent":false}`:      `put of "k": "version" and "absent" are for checks`,
		`{"op":"put","collection":"c","key":"k","value":1,"version":""}`:        `put of "k": "version" and "absent" are for checks`,
		`{"op":"delete","collection":"c","key":"k","type":""}`:                  `delete of "k": takes no value and no type`,
		`{"op":"put","key":"k","value":1}`:                                      `"collection" is empty`,
		`{"op":"put","collection":"c","value":1}`:                               `"key" is empty`,
		`{"op":"change","collection":"c","key":"k"}`:                            `"op" is "change", want put, delete or check`,
		`{"op":"put","collection":"c","key":7,"value":1}`:                       `column 36: key: a number where a text is wanted`,
		`{"op":"put","collection":"c","key":"\ud83d\ude00","value":1}`:          "",
		`{"op":"put","collection":"c","key":"k","value":"\ud800"}`:              "",
		`{"op":"put","collection":"c","key":"\\ud800","value":1}`:               "",
		`{"op":"put","collection":"c","key":"\ud800","value":1}`:                `column 36: key: \ud800 is half a character, which a text cannot have`,
		`{"op":"put","collection":"c","key":"\uD800\u0041","value":1}`:          `column 36: key: \uD800 is half a character, which a text cannot have`,
		`{"op":"put","collection":"\udc00","key":"k","value":1}`:                `column 26: collection: \udc00 is half a character, which a text cannot have`,
		`{"op":"put"`: "column 12: the text ends too early",
		`{"op":"put","collection":"c","Key":"k","value":1}`:             `column 30: unknown field "Key"`,
		`{"op":"put","collection":"c","key":"k","key":"l","value":1}`:   `column 40: "key" is given twice`,
		`{"op":"put","collection":"c","key":"k","value":{"a":1,"a":2}}`: "",
		`[]`:                 "column 1: a list where an object is wanted",
		`{"key":"k"} {}`:     "column 13: something follows the JSON value",
		"{\"key\":\"\xff\"}": "column 9: it is not UTF-8",
	} {
		got := ""
		if _, err := parseOperation(db, []byte(line)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// TestBatchLine wants the number of the line that is wrong.
func TestBatchLine(t *testing.T) {
	db := (&client.Client{}).Database("notes")
	in := "\n" + `{"op":"delete","collection":"c","key":"k"}` + "\n" + `{"op":"delete","kye":"k"}`
	if err := (&app{}).batch(t.Context(), db, strings.NewReader(in)); err == nil || err.Error() != `line 3: column 16: unknown field "kye"` {
		t.Errorf("%v", err)
	}
}
