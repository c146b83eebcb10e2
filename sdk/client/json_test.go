package client

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

type inner struct{ Text string }

type outer struct {
	inner
	Hidden string `json:"-"`
	List   []any
	Map    map[string]*inner
}

// itself writes an escape as text that it may have meant.
type itself struct{}

func (itself) MarshalJSON() ([]byte, error) { return []byte(`"\ufffd"`), nil }

// TestTextsAreNotChanged wants a value with a text that is not UTF-8 refused, wherever it stands, and others stored as they are.
func TestTextsAreNotChanged(t *testing.T) {
	for name, v := range map[string]any{
		"alone": "a\xff", "list": outer{List: []any{1, "a\xff"}}, "key": map[string]int{"a\xff": 1}, "pointer": outer{Map: map[string]*inner{"k": {"a\xff"}}},
		"embedded": &outer{inner: inner{"a\xff"}},
	} {
		if got, err := valueOf(v); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), `the text "a\xff" is not UTF-8`) {
			t.Errorf("%s: stored as %s, %v", name, got.Bytes, err)
		}
	}
	for name, v := range map[string]any{
		"the character": "\ufffd", "the escape as text": `\ufffd`, "its own": itself{}, "raw": []any{json.RawMessage(`"\ufffd"`)},
		"hidden": outer{Hidden: "\xff", inner: inner{`\ufffd`}},
	} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := valueOf(v); err != nil || string(got.Bytes) != string(want) {
			t.Errorf("%s: stored as %s, %v; want %s", name, got.Bytes, err, want)
		}
	}
}
