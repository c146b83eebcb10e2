package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/syncbase/syncbase/internal/strictjson"
)

// maxDepth bounds how deep messages in a body are nested; those of the protocol are four deep.
const maxDepth = 16

// decodeMessage reads a body as appendMessage writes it. Fields that are not known, or given twice, are refused.
func decodeMessage(data []byte, m proto.Message) error {
	if err := strictjson.Check(data, messageShape{m.ProtoReflect().Descriptor()}); err != nil {
		return invalid("the body is not as wanted: " + err.Error())
	}
	text, err := toProtoJSON(data, m.ProtoReflect().Descriptor(), maxDepth)
	if err != nil {
		return invalid("the body is not as wanted: " + err.Error())
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		return invalid("the body is not as wanted: " + plainProto(err))
	}
	return nil
}

// protoPlace is what protobuf puts before its errors: its name, and a place in a text that the client has never seen.
var protoPlace = regexp.MustCompile(`^proto:[\s\x{a0}]+(\(line \d+:\d+\): )?`)

func plainProto(err error) string { return protoPlace.ReplaceAllString(err.Error(), "") }

// toProtoJSON turns JSON in place of bytes into the base64 that protobuf wants there. The JSON is taken as it was written,
// byte for byte but for white space around it.
func toProtoJSON(data json.RawMessage, d protoreflect.MessageDescriptor, depth int) (json.RawMessage, error) {
	if isWellKnown(d) || isNull(data) {
		return data, nil
	}
	if depth == 0 {
		return nil, errors.New("it is nested too deep")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, err
	}
	if both := refuseBoth(d, func(name string) bool { return len(object[name]) > 0 && !isNull(object[name]) }); both != "" {
		return nil, errors.New(both)
	}
	raw := string(bytes.TrimSpace(object[rawField])) == "true"
	for name, value := range object {
		f := fieldOf(d, name)
		if f == nil {
			return nil, fmt.Errorf("there is no field %q in %s", name, d.Name())
		}
		if _, twice := object[f.TextName()]; twice && name != f.TextName() {
			return nil, fmt.Errorf("%s is given twice: it is %s, too", f.TextName(), name)
		}
		converted, err := fieldToProtoJSON(value, f, raw, depth-1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		object[name] = converted
	}
	return json.Marshal(object)
}

func fieldToProtoJSON(value json.RawMessage, f protoreflect.FieldDescriptor, raw bool, depth int) (json.RawMessage, error) {
	switch {
	case holdsJSON(f) && !raw && !f.IsList():
		return json.Marshal(base64.StdEncoding.EncodeToString(bytes.TrimSpace(value)))
	case f.Kind() == protoreflect.EnumKind && !f.IsList() && !isNull(value) && bytes.HasPrefix(bytes.TrimSpace(value), []byte{'"'}):
		return json.Marshal(longName(f.Enum(), textOf(value)))
	case f.Message() == nil || isNull(value):
		return value, nil
	case !f.IsList():
		return toProtoJSON(value, f.Message(), depth)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, err
	}
	for i := range list {
		var err error
		if list[i], err = toProtoJSON(list[i], f.Message(), depth); err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
	}
	return json.Marshal(list)
}

func isNull(data json.RawMessage) bool { return string(bytes.TrimSpace(data)) == "null" }
