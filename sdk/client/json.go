package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// marshal is json.Marshal, except that it refuses a text that is not UTF-8, which json.Marshal changes without a word.
func marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || !bytes.Contains(data, []byte(`\ufffd`)) { // what it writes for bytes that are none; the character itself it leaves
		return data, err
	}
	if text, found := changedText(reflect.ValueOf(v), maxTextDepth); found {
		return nil, fmt.Errorf("the text %q is not UTF-8", text)
	}
	return data, nil
}

// maxTextDepth is how deep changedText looks: as deep as a value may be nested.
const maxTextDepth = 1000

// changedText looks for a text that is not UTF-8 in what json.Marshal has taken, which has no cycles. What marshals itself is its own affair.
func changedText(v reflect.Value, depth int) (text string, found bool) {
	if depth == 0 || !v.IsValid() {
		return "", false
	}
	if v.CanInterface() {
		if _, itself := v.Interface().(json.Marshaler); itself {
			return "", false
		}
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), !utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return changedText(v.Elem(), depth-1)
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && !found; i++ {
			text, found = changedText(v.Index(i), depth-1)
		}
	case reflect.Map:
		for each := v.MapRange(); !found && each.Next(); {
			if text, found = changedText(each.Key(), depth-1); !found {
				text, found = changedText(each.Value(), depth-1)
			}
		}
	case reflect.Struct:
		for i := 0; i < v.NumField() && !found; i++ {
			if f := v.Type().Field(i); (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" {
				text, found = changedText(v.Field(i), depth-1)
			}
		}
	}
	return text, found
}
