package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// jsonFields are the fields of type bytes that hold JSON. Over HTTP they are that JSON and not a text of base64; the gateway
// in host/internal/api/gateway, which does it, goes by the same names.
var jsonFields = []string{"permissions", "policy", "spec", "value"}

// object is an object of JSON.
type object = map[string]any

// finishDocument makes the generated document say what the gateway does with it beyond the rules, and lays the overlay over
// it as a merge patch (RFC 7396).
func finishDocument(generated, overlay []byte) ([]byte, error) {
	var document, patch object
	if err := json.Unmarshal(generated, &document); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(overlay, &patch); err != nil {
		return nil, err
	}
	for _, definition := range within(document, "definitions") {
		holdJSON(within(definition, "properties"))
	}
	for _, path := range within(document, "paths") {
		for _, operation := range path.(object) {
			finishOperation(operation.(object))
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(merge(document, patch))
	return out.Bytes(), err
}

// within returns the object at a key of an object, empty when there is none.
func within(of any, key string) object {
	o, _ := of.(object)
	inner, _ := o[key].(object)
	return inner
}

func holdJSON(properties object) {
	for name, p := range properties {
		property := p.(object)
		if property["format"] == "byte" && slices.Contains(jsonFields, name) {
			delete(property, "type")
			delete(property, "format")
			if _, hasRaw := properties["raw"]; hasRaw {
				property["description"] = property["description"].(string) + " Any JSON; a text of base64 when `raw` is true."
			}
		}
	}
}

func finishOperation(operation object) {
	delete(operation, "tags")
	responses := within(operation, "responses")
	responses["default"] = object{"description": "What went wrong.", "schema": object{"$ref": "#/definitions/Error"}}
	answer := within(responses, "200")
	schema := within(answer, "schema")
	answer["description"] = "Done."
	if title, _ := schema["title"].(string); strings.HasPrefix(title, "Stream result of ") {
		// The generator knows of envelopes that the gateway leaves off.
		answer["description"] = "One JSON object a line; after a failure in the middle the last line is {\"error\": Error}."
		answer["schema"] = within(schema, "properties")["result"]
		operation["produces"] = []any{"application/x-ndjson"}
	}
}

// merge applies a merge patch: objects are merged, null removes, all else replaces.
func merge(target, patch any) any {
	p, ok := patch.(object)
	if !ok {
		return patch
	}
	t, ok := target.(object)
	if !ok {
		t = object{}
	}
	for key, value := range p {
		if value == nil {
			delete(t, key)
		} else {
			t[key] = merge(t[key], value)
		}
	}
	return t
}
