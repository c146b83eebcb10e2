package protocol

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
)

var update = flag.Bool("update", false, "rewrite the golden file, which makes every addition a promise")

// files are all protocols there are; TestEveryFileIsHeld holds the list against the directory.
var files = []protoreflect.FileDescriptor{
	blobstorev1.File_blobstore_v1_blobstore_proto,
	discoveryv1.File_discovery_v1_discovery_proto,
	nodev1.File_node_v1_clock_proto,
	nodev1.File_node_v1_conflicts_proto,
	nodev1.File_node_v1_node_proto,
	nodev1.File_node_v1_refused_proto,
	nodev1.File_node_v1_space_proto,
	nodev1.File_node_v1_alarms_proto,
	nodev1.File_node_v1_syncgroup_proto,
	peerv1.File_peer_v1_membership_proto,
	peerv1.File_peer_v1_compare_proto,
	peerv1.File_peer_v1_peer_proto,
	peerv1.File_peer_v1_refusal_proto,
	pluginv1.File_plugin_v1_plugin_proto,
	resolverv1.File_resolver_v1_resolver_proto,
}

func TestPromisesAreKept(t *testing.T) {
	var lines []string
	for _, file := range files {
		lines = append(lines, describeFile(file)...)
	}
	golden := filepath.Join("testdata", "descriptors.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	broken, added := compare(strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), lines)
	for _, line := range broken {
		t.Errorf("gone or changed: %s\nwhoever speaks this version depends on it; add beside it, or make a v2", line)
	}
	for _, line := range added {
		t.Errorf("new: %s\nrun go test ./test/protocol -update to promise it", line)
	}
}

// compare tells which promises are broken and which lines are new.
func compare(promised, actual []string) (broken, added []string) {
	for _, line := range promised {
		if !slices.Contains(actual, line) {
			broken = append(broken, line)
		}
	}
	for _, line := range actual {
		if !slices.Contains(promised, line) {
			added = append(added, line)
		}
	}
	return broken, added
}

func TestCompareFindsBreaches(t *testing.T) {
	broken, added := compare([]string{"a 1", "b 2"}, []string{"a 1", "b 3"})
	if !slices.Equal(broken, []string{"b 2"}) || !slices.Equal(added, []string{"b 3"}) {
		t.Errorf("broken = %q, added = %q", broken, added)
	}
}

func TestEveryFileIsHeld(t *testing.T) {
	root := filepath.Join("..", "..", "sdk", "api")
	found, err := filepath.Glob(filepath.Join(root, "*", "*", "*.proto"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, path := range found {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, filepath.ToSlash(rel))
	}
	for _, file := range files {
		got = append(got, file.Path())
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("files = %q, sdk/api holds %q; add what is missing to files", got, want)
	}
}

func describeFile(file protoreflect.FileDescriptor) []string {
	var lines []string
	for i := range file.Services().Len() {
		methods := file.Services().Get(i).Methods()
		for j := range methods.Len() {
			lines = append(lines, describeMethod(methods.Get(j)))
		}
	}
	lines = append(lines, describeEnums(file.Enums())...)
	return append(lines, describeMessages(file.Messages())...)
}

func describeMethod(m protoreflect.MethodDescriptor) string {
	stream := func(streaming bool) string {
		if streaming {
			return "stream "
		}
		return ""
	}
	return fmt.Sprintf("rpc %s (%s%s) (%s%s)", m.FullName(), stream(m.IsStreamingClient()), m.Input().FullName(), stream(m.IsStreamingServer()), m.Output().FullName())
}

func describeEnums(enums protoreflect.EnumDescriptors) []string {
	var lines []string
	for i := range enums.Len() {
		values := enums.Get(i).Values()
		for j := range values.Len() {
			lines = append(lines, fmt.Sprintf("enum %s %s = %d", enums.Get(i).FullName(), values.Get(j).Name(), values.Get(j).Number()))
		}
	}
	return lines
}

func describeMessages(messages protoreflect.MessageDescriptors) []string {
	var lines []string
	for i := range messages.Len() {
		m := messages.Get(i)
		if m.IsMapEntry() {
			continue
		}
		lines = append(lines, fmt.Sprintf("message %s", m.FullName()))
		for j := range m.Fields().Len() {
			lines = append(lines, describeField(m.Fields().Get(j)))
		}
		lines = append(lines, describeEnums(m.Enums())...)
		lines = append(lines, describeMessages(m.Messages())...)
	}
	return lines
}

func describeField(f protoreflect.FieldDescriptor) string {
	line := fmt.Sprintf("field %s = %d %s", f.FullName(), f.Number(), typeOf(f))
	if oneof := f.ContainingOneof(); oneof != nil {
		line += fmt.Sprintf(" in %s", oneof.Name())
	}
	return line
}

func typeOf(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return fmt.Sprintf("map<%s, %s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	case f.Message() != nil:
		return fmt.Sprintf("%s %s", f.Cardinality(), f.Message().FullName())
	case f.Enum() != nil:
		return fmt.Sprintf("%s %s", f.Cardinality(), f.Enum().FullName())
	default:
		return fmt.Sprintf("%s %s", f.Cardinality(), f.Kind())
	}
}
