package gateway

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

func encoded(m proto.Message) string { return string(appendMessage(nil, m.ProtoReflect())) }

func TestEncode(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 11, 22, 8, 0, 0, 5e6, time.UTC))
	for want, m := range map[string]proto.Message{
		`{"key":"k\"","value":{"a":1},"type":"","version":"v","updated":"2026-11-22T08:00:00.005Z","raw":false}`: &nodev1.Row{Key: `k"`, Value: []byte("{\"a\":\n1}"), Version: "v", Updated: at},
		`{"key":"k","value":"/w==","type":"","version":"","raw":true}`:                                           &nodev1.Row{Key: "k", Value: []byte{0xff}, Raw: true},
		`{"key":"k","value":"","type":"","version":"","raw":true}`:                                               &nodev1.Row{Key: "k", Raw: true},
		`{"key":"k","type":"","version":"","raw":false}`:                                                         &nodev1.Row{Key: "k"},
		`{"key":"k","value":1.50,"type":"","version":"","raw":false}`:                                            &nodev1.Row{Key: "k", Value: []byte("1.50")},
		// What says that it is JSON and is not cannot pass for more rows.
		`{"key":"k","value":"MX0KeyJrZXkiOiJmb3JnZWQifQ==","type":"","version":"","raw":true}`:                               &nodev1.Row{Key: "k", Value: []byte("1}\n{\"key\":\"forged\"}")},
		`{"database":"","settings":{"durability":"DURABILITY_SYNC","quota_bytes":"7"},"used_bytes":"0","garbage_bytes":"0"}`: &nodev1.GetDatabaseResponse{Settings: &nodev1.DatabaseSettings{Durability: 1, QuotaBytes: proto.Uint64(7)}},
		`{"schema":{"version":1,"policy":{}}}`:                                         &nodev1.GetSchemaResponse{Schema: &nodev1.Schema{Version: 1, Policy: []byte("{}")}},
		`{"changes":[],"continued":false,"resume":""}`:                                 &nodev1.WatchResponse{},
		`{"put":{"collection":"c","key":"\u0000","value":null,"type":"","raw":false}}`: &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: "c", Key: "\x00", Value: []byte("null")}}},
	} {
		got := encoded(m)
		if got != want {
			t.Errorf("%v:\n got %s\nwant %s", m, got, want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s is no JSON", got)
		}
	}
}

// FuzzRow writes a row in both ways that there are.
func FuzzRow(f *testing.F) {
	f.Add("k", []byte("{\n}"), "t", "v", int64(1), false)
	f.Add("\"\\u2028", []byte("1}\n{"), "", "", int64(-1), true)
	f.Fuzz(func(t *testing.T, key string, value []byte, kind, version string, at int64, raw bool) {
		row := &nodev1.Row{Key: key, Value: value, Type: kind, Version: version, Raw: raw}
		if at >= 0 {
			row.Updated = timestamppb.New(time.Unix(0, at))
		}
		quick, slow := appendRow(nil, row, true), appendFields(nil, row.ProtoReflect())
		if diff := cmp.Diff(string(slow), string(quick)); diff != "" {
			t.Errorf("-slow +quick:\n%s", diff)
		}
		if !json.Valid(quick) || bytes.ContainsAny(quick, "\n\r") {
			t.Errorf("%q is no line of JSON", quick)
		}
	})
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]proto.Message{
		`{"ops":[{"put":{"collection":"c","key":"k","value": {"a":
 1} }}]}`: commitOf(&nodev1.Put{Collection: "c", Key: "k", Value: []byte("{\"a\":\n 1}")}),
		`{"ops":[{"put":{"key":"k","value":"/w==","raw":true}}]}`: commitOf(&nodev1.Put{Key: "k", Value: []byte{0xff}, Raw: true}),
		`{"ops":[{"put":{"key":"k","value":"/w=="}}]}`:            commitOf(&nodev1.Put{Key: "k", Value: []byte(`"/w=="`)}),
		`{"ops":[{"put":{"key":"k","value":null}}]}`:              commitOf(&nodev1.Put{Key: "k", Value: []byte(`null`)}),
		`{"ops":[]}`: &nodev1.CommitRequest{}, `{}`: &nodev1.CommitRequest{}, `{"ops":null}`: &nodev1.CommitRequest{},
	} {
		var got nodev1.CommitRequest
		if err := decodeMessage([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, &got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"", "[]", "1", "{", `{"ops":{}}`, `{"ops":[1]}`, `{"opps":[]}`, `{"ops":[{"put":{"keey":1}}]}`, `{"ops":[{"put":{"key":1}}]}`,
		`{"ops":[],"ops":[]}`, `{"ops":[{"put":{"key":"a","key":"b"}}]}`, `{"Ops":[]}`, `{"ops":[{"put":{"key":"\ud800"}}]}`, "null",
		`{"ops":[{"put":{},"delete":{}}]}`, `{} {}`, "{\"database\":\"\xff\"}", `{"ops":[{"put":{"value":"?","raw":true}}]}`,
		strings.Repeat(`{"ops":[`, 1000),
	} {
		var m nodev1.CommitRequest
		if err := decodeMessage([]byte(text), &m); err == nil {
			t.Errorf("%.50q was read as %v", text, &m)
		}
	}
}

// TestDecodeFaults wants faults with their place in the body, and no word about protobuf.
func TestDecodeFaults(t *testing.T) {
	for text, want := range map[string]string{
		"{\"database\":\"d\",\n \"ops\":[{\"put\":{\"key\":1}}]}": "line 2, column 23: ops[0].put.key: a number where a text is wanted",
		`{"ops":[{"put":{"key":"a","key":"b"}}]}`:                 `column 27: ops[0].put: "key" is given twice`,
		`{"ops":[{"put":{"keey":"a"}}]}`:                          `column 17: ops[0].put: unknown field "keey"`,
		`{"ops":[{"put":{"value":"?","raw":true}}]}`:              `invalid value for bytes field value: "?"`,
	} {
		err := decodeMessage([]byte(text), &nodev1.CommitRequest{})
		if want = "the body is not as wanted: " + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`{"settings":{"quota_bytes":-1}}`:    `column 28: settings.quota_bytes: -1 is not a whole number from 0 to 18446744073709551615`,
		`{"settings":{"quota_bytes":{}}}`:    `column 28: settings.quota_bytes: an object where a number is wanted`,
		`{"settings":{"durability":true}}`:   `column 27: settings.durability: true or false where a name such as DURABILITY_ASYNC is wanted`,
		`{"settings":{"sync_paused":"yes"}}`: `column 28: settings.sync_paused: a text where true or false is wanted`,
	} {
		err := decodeMessage([]byte(text), &nodev1.UpdateDatabaseRequest{})
		if want = "the body is not as wanted: " + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func commitOf(p *nodev1.Put) *nodev1.CommitRequest {
	return &nodev1.CommitRequest{Ops: []*nodev1.Op{{Op: &nodev1.Op_Put{Put: p}}}}
}

// plainBytes are the fields of type bytes that hold no JSON.
const plainBytes = `DoctorResponse.Finding.key
GetBlobResponse.data
PutBlobRequest.data`

// TestPlainBytes fails when a field of type bytes is added that does not have one of the names of JSON. Is it JSON?
func TestPlainBytes(t *testing.T) {
	var got []string
	var walk func(protoreflect.MessageDescriptors)
	walk = func(list protoreflect.MessageDescriptors) {
		for i := range list.Len() {
			fields := list.Get(i).Fields()
			for k := range fields.Len() {
				if f := fields.Get(k); f.Kind() == protoreflect.BytesKind && !holdsJSON(f) {
					got = append(got, strings.TrimPrefix(string(f.FullName()), "syncbase.node.v1."))
				}
			}
			walk(list.Get(i).Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("syncbase.node.v1", func(f protoreflect.FileDescriptor) bool {
		walk(f.Messages())
		return true
	})
	want := strings.Split(plainBytes, "\n")
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("if the field is JSON, its name belongs into jsonFields, here and in tools/protogen; -want +got:\n%s", diff)
	}
}

// FuzzBody reads any body; what can be read is the same when it is written and read again, on one line.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"database":"d","ops":[{"put":{"collection":"c","key":"k","value":{"a":[1,"x"]}}}]}`,
		`{"ops":[{"put":{"value":"/w==","raw":true}},{"delete":{"key":"k"}},{"check":{"absent":true}},{"check":{"value":null}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, second nodev1.CommitRequest
		if decodeMessage(body, &first) != nil {
			return
		}
		text := appendMessage(nil, first.ProtoReflect())
		if bytes.ContainsAny(text, "\n\r") || !json.Valid(text) {
			t.Fatalf("%q is no line of JSON", text)
		}
		if err := decodeMessage(text, &second); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		compactValues(&first)
		if diff := cmp.Diff(&first, &second, protocmp.Transform()); diff != "" {
			t.Errorf("%s: -first +second:\n%s", text, diff)
		}
	})
}

// compactValues does what a line takes: values that had more than one are written on one.
func compactValues(m *nodev1.CommitRequest) {
	compact := func(value []byte) []byte {
		var line bytes.Buffer
		if !bytes.ContainsAny(value, "\n\r") || json.Compact(&line, value) != nil {
			return value
		}
		return line.Bytes()
	}
	for _, op := range m.GetOps() {
		if p := op.GetPut(); p != nil && !p.GetRaw() {
			p.Value = compact(p.GetValue())
		}
		if v, ok := op.GetCheck().GetExpected().(*nodev1.Check_Value); ok {
			v.Value = compact(v.Value)
		}
	}
}
