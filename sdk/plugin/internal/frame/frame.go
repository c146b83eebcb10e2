// Package frame chooses how messages become bytes between host and plugin.
//
// It guarantees that what goes over the socket is ordinary protobuf whatever codec is chosen, so that plugins in other
// languages need nothing special. It is the only place that touches grpc's codec interfaces, which grpc calls
// experimental.
package frame

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	// Registers the standard codec that Codec looks up.
	_ "google.golang.org/grpc/encoding/proto"
)

// Codec is the codec of both ends: for now grpc's own, which copies every payload once on the way in and once on the
// way out. One that does not copy can take its place without any change outside this package, since payload fields
// carry the highest number of their message.
func Codec() encoding.CodecV2 { return encoding.GetCodecV2("proto") }

// ServerOptions makes a server use the codec.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ForceServerCodecV2(Codec())}
}

// DialOptions makes a client use the codec.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Codec()))}
}
