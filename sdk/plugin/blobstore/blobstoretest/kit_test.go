package blobstoretest_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryPasses(t *testing.T) {
	kept := &blobstoretest.Memory{}
	running := plugintest.InProcess(t, blobstoretest.MemoryKind(kept), plugintest.Options{})
	small := plugintest.InProcess(t, blobstoretest.MemoryKind(&blobstoretest.Memory{MaxBytes: 20 << 20}), plugintest.Options{})
	blobstoretest.Run(t, running.Conn, blobstoretest.Options{
		Small: small.Conn,
		Reopen: func(ctx context.Context) (grpc.ClientConnInterface, error) {
			if err := running.Drain(ctx, 0); err != nil {
				return nil, err
			}
			running = plugintest.InProcess(t, blobstoretest.MemoryKind(kept), plugintest.Options{})
			return running.Conn, nil
		},
	})
}

func TestMemoryPassesWithSmallFrames(t *testing.T) {
	const frame = plugin.MinFrameBytes
	running := plugintest.InProcess(t, blobstoretest.MemoryKind(&blobstoretest.Memory{}), plugintest.Options{FrameBytes: frame})
	blobstoretest.Run(t, running.Conn, blobstoretest.Options{FrameBytes: frame, ListKeys: 100})
}
