// Command protogen regenerates the Go code of every .proto file below the sdk/api directory given as its argument.
//
// It compiles the files with protocompile and runs the generator plugins (protoc-gen-go, protoc-gen-go-grpc) that
// tools/go.mod pins, so neither protoc nor anything outside the module cache is needed. For the protocol of clients there
// is HTTP beside gRPC; see http.go.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protogen DIR")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func generate(root string) error {
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".proto") {
			rel, relErr := filepath.Rel(root, path)
			files = append(files, filepath.ToSlash(rel))
			return relErr
		}
		return err
	})
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{root}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(context.Background(), files...)
	if err != nil {
		return err
	}
	req := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: files,
		Parameter:      proto.String("paths=source_relative"),
	}
	seen := map[string]bool{}
	for _, file := range compiled {
		addWithImports(req, file, seen)
	}
	for _, tool := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		resp, err := runGenerator(tool, req)
		if err == nil {
			err = write(resp, root)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
	}
	return generateHTTP(root, req)
}

// addWithImports appends a file after everything it imports, the order that generators demand.
func addWithImports(req *pluginpb.CodeGeneratorRequest, file protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[file.Path()] {
		return
	}
	seen[file.Path()] = true
	imports := file.Imports()
	for i := range imports.Len() {
		addWithImports(req, imports.Get(i).FileDescriptor, seen)
	}
	var desc *descriptorpb.FileDescriptorProto = protoutil.ProtoFromFileDescriptor(file)
	req.ProtoFile = append(req.ProtoFile, desc)
}

func runGenerator(tool string, req *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(req)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "tool", tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	resp := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(out, resp); err != nil {
		return nil, err
	}
	if resp.Error != nil {
		return nil, fmt.Errorf("%s", resp.GetError())
	}
	return resp, nil
}

func write(resp *pluginpb.CodeGeneratorResponse, root string) error {
	for _, f := range resp.File {
		content := f.GetContent()
		if !strings.HasSuffix(f.GetName(), "_grpc.pb.go") {
			content = packageDoc.ReplaceAllString(content, "${1}package ")
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(f.GetName())), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// packageDoc matches the comment of the proto package, which protoc-gen-go sets apart from the package clause, so that
// go doc would not show it. One of the two files of a package is enough.
var packageDoc = regexp.MustCompile(`(?m)^(// Package [^\n]*\n(?://[^\n]*\n)*)\npackage `)
