package gateway

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// refuseNumber says what is wrong with a number for a field of whole numbers; nothing for other fields.
func refuseNumber(f protoreflect.FieldDescriptor, text string) string {
	var least int64
	var most uint64
	switch f.Kind() {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		least, most = math.MinInt32, math.MaxInt32
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		most = math.MaxUint32
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		least, most = math.MinInt64, math.MaxInt64
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		most = math.MaxUint64
	default:
		return ""
	}
	// What has a point or an exponent can still be a whole number.
	n, err := strconv.ParseFloat(text, 64)
	if err == nil && n == math.Trunc(n) && n >= float64(least) && n < float64(most)+1 {
		return ""
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && n <= most {
		return "" // so near the limit that its float is beyond
	}
	return fmt.Sprintf("%.40s is not a whole number from %d to %d", text, least, most)
}

// refuseName says what is wrong with a value of an enumeration, which is a name or a number.
func refuseName(d protoreflect.EnumDescriptor, text string) string {
	if d.Values().ByName(protoreflect.Name(longName(d, text))) != nil {
		return ""
	}
	if _, err := strconv.ParseInt(text, 10, 32); err == nil {
		return "" // those who use it know which numbers there are
	}
	var names []string
	for i := range d.Values().Len() {
		if name := string(d.Values().Get(i).Name()); !strings.HasSuffix(name, "_UNSPECIFIED") {
			names = append(names, name)
		}
	}
	return fmt.Sprintf("%.40q is none of %s", text, strings.Join(names, ", "))
}

// longName completes a name of an enumeration that was given without what all of them begin with: async, or ASYNC, is
// DURABILITY_ASYNC. Anything else stays as it is.
func longName(d protoreflect.EnumDescriptor, text string) string {
	begin, found := strings.CutSuffix(string(d.Values().Get(0).Name()), "UNSPECIFIED")
	long := begin + strings.ToUpper(text)
	if found && d.Values().ByName(protoreflect.Name(long)) != nil {
		return long
	}
	return text
}

// duration is how protocol buffers write one.
var duration = regexp.MustCompile(`^-?[0-9]{1,12}(\.[0-9]{1,9})?s$`)

// refuseWellKnown says what is wrong with a duration or a time.
func refuseWellKnown(d protoreflect.MessageDescriptor, text string) string {
	switch d.Name() {
	case "Duration":
		if !duration.MatchString(text) {
			return fmt.Sprintf("%.40q is no duration in seconds, such as \"1.5s\"", text)
		}
	case "Timestamp":
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Sprintf("%.40q is no time as of RFC 3339, such as \"2026-01-02T15:04:05Z\"", text)
		}
	}
	return ""
}

// refuseParameter says what is wrong with a value of the query.
func refuseParameter(f protoreflect.FieldDescriptor, text string) string {
	switch {
	case f.Kind() == protoreflect.BoolKind && text != "true" && text != "false":
		return fmt.Sprintf("%.40q is not true or false", text)
	case f.Kind() == protoreflect.EnumKind:
		return refuseName(f.Enum(), text)
	}
	return refuseNumber(f, text)
}

// refuseBoth says which fields of a message exclude each other.
func refuseBoth(d protoreflect.MessageDescriptor, given func(name string) bool) string {
	for i := range d.Oneofs().Len() {
		fields, there := d.Oneofs().Get(i).Fields(), []string{}
		for k := range fields.Len() {
			if f := fields.Get(k); given(f.TextName()) || f.JSONName() != f.TextName() && given(f.JSONName()) {
				there = append(there, f.TextName())
			}
		}
		if len(there) > 1 {
			return fmt.Sprintf("%s exclude each other: give one of them", strings.Join(there, " and "))
		}
	}
	return ""
}
