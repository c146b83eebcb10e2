package plugin

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/syncbase/syncbase/sdk/plugin/internal/frame"
)

// DialOptions are what the host's end of a connection to a plugin needs: who may answer, how large messages may be, and
// the codec both ends share. They go into go-plugin's GRPCDialOptions.
func DialOptions(creds credentials.TransportCredentials) []grpc.DialOption {
	return append(frame.DialOptions(),
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageBytes),
			grpc.MaxCallSendMsgSize(MaxMessageBytes),
		),
	)
}

func serverOptions(creds credentials.TransportCredentials) []grpc.ServerOption {
	return append(frame.ServerOptions(),
		grpc.Creds(creds),
		grpc.MaxRecvMsgSize(MaxMessageBytes),
		grpc.MaxSendMsgSize(MaxMessageBytes),
	)
}
