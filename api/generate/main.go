// Command generate compiles the protobuf contract to Go, with nothing to
// install: the compiler is a Go library and the plugins are tool dependencies
// of this module. Run it as go generate ./api/...
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// source is the contract, relative to the folder of package api.
const source = "kindred/v1/kindred.proto"

// plugins are run by go tool, so that go.mod pins their versions.
var plugins = []struct{ tool, parameter string }{
	{"protoc-gen-go", "paths=source_relative"},
	{"protoc-gen-go-grpc", "paths=source_relative"},
}

func main() {
	root := flag.String("root", ".", "the folder of package api, which holds "+source)
	out := flag.String("out", "", "the folder to write below (default: root)")
	flag.Parse()
	if *out == "" {
		*out = *root
	}
	if err := run(context.Background(), *root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, out string) error {
	file, err := compile(ctx, root)
	if err != nil {
		return err
	}
	for _, p := range plugins {
		answer, err := ask(ctx, root, p.tool, &pluginpb.CodeGeneratorRequest{
			FileToGenerate: []string{source},
			Parameter:      proto.String(p.parameter),
			ProtoFile:      []*descriptorpb.FileDescriptorProto{file},
		})
		if err != nil {
			return fmt.Errorf("%s: %w", p.tool, err)
		}
		if err := write(out, answer.File); err != nil {
			return err
		}
	}
	return nil
}

// compile reads the contract, with its comments.
func compile(ctx context.Context, root string) (*descriptorpb.FileDescriptorProto, error) {
	c := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{root}},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(ctx, source)
	if err != nil {
		return nil, err
	}
	return protoutil.ProtoFromFileDescriptor(files[0]), nil
}

// ask runs one plugin. It works in root, so that go finds the module.
func ask(ctx context.Context, root, tool string, q *pluginpb.CodeGeneratorRequest) (*pluginpb.CodeGeneratorResponse, error) {
	in, err := proto.Marshal(q)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	answer := &pluginpb.CodeGeneratorResponse{}
	if err := proto.Unmarshal(stdout, answer); err != nil {
		return nil, err
	}
	if answer.Error != nil {
		return nil, errors.New(*answer.Error)
	}
	return answer, nil
}

func write(out string, files []*pluginpb.CodeGeneratorResponse_File) error {
	for _, f := range files {
		path := filepath.Join(out, filepath.FromSlash(f.GetName()))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
