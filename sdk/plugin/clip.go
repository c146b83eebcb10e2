package plugin

import (
	"strings"
	"unicode/utf8"
)

// Clip makes text fit for a protobuf string of at most limit bytes: valid UTF-8, with the end cut off where needed.
func Clip(text string, limit int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
