package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Name  string   `json:"name" required:""`
	Ports []uint16 `json:"ports"`
}

type embedded struct {
	Region string `json:"region" doc:"Where it lies."`
}

type sample struct {
	embedded
	Root    string           `json:"root"`
	Limit   int              `json:"limit"`
	Wait    Duration         `json:"wait"`
	Inner   inner            `json:"inner"`
	Pointer *inner           `json:"pointer"`
	Map     map[string]inner `json:"map"`
	Raw     []byte           `json:"raw"`
	Anyway  any              `json:"anyway"`
	Hidden  string           `json:"-"`
}

// faultsOf are the places and summaries of the faults within an error.
func faultsOf(err error) map[string]string {
	out := map[string]string{}
	for _, e := range flatten(err) {
		var fault *ConfigError
		if errors.As(e, &fault) {
			out[fault.Path] = fault.Summary
		} else {
			out["?"] = e.Error()
		}
	}
	return out
}

func TestDecodeFaults(t *testing.T) {
	for text, want := range map[string]map[string]string{
		``:                       {},
		`{}`:                     {},
		`{"inner":{"name":"x"}}`: {},
		`{"rot":1,"Root":"x"}`:   {"/rot": "unknown field", "/Root": "unknown field"},
		`{"Hidden":"x"}`:         {"/Hidden": "unknown field"},
		`{"limit":"5"}`:          {"/limit": "want a whole number (int), got string"},
		`{"limit":1.5}`:          {"/limit": "want a whole number (int), got number 1.5"},
		`{"wait":"soon"}`:        {"/wait": `"soon" is not a duration such as 90s or 1h30m`},
		`{"wait":5}`:             {"/wait": "want a string, got number"},
		`{"inner":{}}`:           {"/inner/name": "is required"},
		`{"inner":[]}`:           {"/inner": "want an object, got a list"},
		`{"inner":{"name":"x","ports":[1,70000,"x"]}}`: {
			"/inner/ports/1": "want a whole number (uint16), got number 70000",
			"/inner/ports/2": "want a whole number (uint16), got string",
		},
		`{"map":{"a/b~c":{"name":"x","nope":1}}}`: {"/map/a~1b~0c/nope": "unknown field"},
		`{"pointer":{"nmae":"x"}}`:                {"/pointer/nmae": "unknown field", "/pointer/name": "is required"},
		`[]`:                                      {"": "want an object, got a list"},
		`"x"`:                                     {"": "want an object, got a string"},
		`{"root":"x"`:                             {"": "not valid JSON at byte 11: unexpected end of JSON input"},
		`{"root":"x"} {}`:                         {"": "not valid JSON at byte 14: invalid character '{' after top-level value"},
	} {
		var v sample
		got := faultsOf(Decode([]byte(text), &v))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: faults (-want +got):\n%s", text, diff)
		}
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	defaults := sample{Root: "/x", Limit: 5, Pointer: &inner{Name: "p"}}
	got := defaults
	text := `{"limit":6,"region":"north","wait":"1m30s","pointer":{"name":"q","ports":[1]},"map":{"k":{"name":"n"}},"raw":"aGk=","anyway":[1]}`
	if err := Decode([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := sample{
		embedded: embedded{Region: "north"},
		Root:     "/x",
		Limit:    6,
		Wait:     Duration(90 * time.Second),
		Pointer:  &inner{Name: "q", Ports: []uint16{1}},
		Map:      map[string]inner{"k": {Name: "n"}},
		Raw:      []byte("hi"),
		Anyway:   []any{1.0},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if defaults.Pointer.Name != "p" {
		t.Error("decoding has changed the defaults")
	}
}

func TestDecodeNeedsAStruct(t *testing.T) {
	for _, v := range []any{nil, 5, sample{}, (*sample)(nil), new(int)} {
		if err := Decode([]byte(`{}`), v); err == nil {
			t.Errorf("a %T was accepted", v)
		}
	}
}

func TestSchema(t *testing.T) {
	data, err := configSchema(sample{Limit: 5})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	properties := got["properties"].(map[string]any)
	for name, want := range map[string]any{
		"region": map[string]any{"type": "string", "description": "Where it lies."},
		"limit":  map[string]any{"type": "integer", "default": 5.0},
		"wait":   map[string]any{"type": "string"},
		"raw":    map[string]any{"type": "string"},
		"anyway": map[string]any{},
	} {
		if diff := cmp.Diff(want, properties[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got["additionalProperties"] != false {
		t.Error("unknown fields are allowed by the schema")
	}
	if diff := cmp.Diff([]any{"name"}, properties["inner"].(map[string]any)["required"]); diff != "" {
		t.Errorf("required (-want +got):\n%s", diff)
	}
}

// FuzzDecode wants no panic, and agreement with encoding/json on what is good.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{"", "{}", `{"inner":{"name":"x","ports":[1,2]}}`, `{"map":{"":{}}}`, `{"wait":"1s","anyway":null}`, `[1`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ours, theirs sample
		if Decode(data, &ours) != nil || len(bytes.TrimSpace(data)) == 0 {
			return
		}
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Errorf("%q was accepted, but: %v", data, err)
		}
	})
}
