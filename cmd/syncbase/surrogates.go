package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// unbroken refuses members of an object that escape half a character: as a text it would become the mark for what cannot be
// read, so two keys would become one.
func unbroken(object []byte, members ...string) error {
	if !bytes.Contains(object, []byte(`\u`)) {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return plainJSON(err)
	}
	for name, text := range fields {
		if !slices.ContainsFunc(members, func(m string) bool { return strings.EqualFold(m, name) }) {
			continue
		}
		if half := halfCharacter(text); half != "" {
			return brokenText(name, half)
		}
	}
	return nil
}

func brokenText(member, half string) error {
	return fmt.Errorf("%q: %s is half a character, which a text cannot have", member, half)
}

// halfCharacter returns the first escape of a surrogate without the other one, empty if there is none. The text is valid JSON.
func halfCharacter(text []byte) string {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		unit := escaped(text[i:])
		switch {
		case !utf16.IsSurrogate(unit):
			i++ // passes over what is escaped, such as another backslash
		case utf16.DecodeRune(unit, escaped(text[i+6:])) == '\ufffd':
			return string(text[i : i+6])
		default:
			i += 11
		}
	}
	return ""
}

// escaped is the unit of UTF-16 that the text begins with as an escape, 0 if it begins otherwise.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}
