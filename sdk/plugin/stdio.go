package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"google.golang.org/grpc"
)

// handshakeFile is where the host reads the handshake from, saved before anything could be printed there.
var handshakeFile *os.File

// A plugin's stdout carries one line of handshake and is drained by nobody afterwards: what others print there would
// break the start, and a megabyte of it would block the process. So in a plugin descriptor 1 becomes a second name of
// stderr, for C libraries and children too, before any code of the author's runs.
func init() {
	if !IsPlugin() {
		return
	}
	saved, err := moveStdout()
	if err != nil {
		fmt.Fprintf(os.Stderr, "plugin: move stdout away: %v\n", err)
		os.Exit(2)
	}
	handshakeFile = saved
}

// handshakeOutput is what os.Stdout has to be while go-plugin prints its line.
func handshakeOutput() *os.File {
	if handshakeFile != nil {
		return handshakeFile
	}
	return os.Stdout
}

// printsTo calls restore at the first call that arrives. By then go-plugin has redirected os.Stdout and os.Stderr into
// a stream that the host does not read.
func printsTo(restore func()) grpc.ServerOption {
	return grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		restore()
		return handler(ctx, req)
	})
}

// crashes makes a panic in a handler end the process with a text that is short enough to survive in the host's record of
// the last lines of stderr. Going on is no choice: what the handler held is in an unknown state, and the host restarts.
// It has to stand last in the chain, to run in the goroutine of the handler.
func crashes(stderr io.Writer) []grpc.ServerOption {
	guard := func(method string) {
		if value := recover(); value != nil {
			fmt.Fprintf(stderr, "panic: %v [in %s]\n%s", value, method, debug.Stack())
			os.Exit(2)
		}
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			defer guard(info.FullMethod)
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			defer guard(info.FullMethod)
			return handler(srv, stream)
		}),
	}
}
