package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/api/gateway"
)

// awaitBatches is how many batches there are once there are as many as wanted, or still after a long time.
func (w *world) awaitBatches(want int) int {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		w.server.batches.mu.Lock()
		n := w.server.batches.total
		w.server.batches.mu.Unlock()
		if n == want || time.Now().After(deadline) {
			return n
		}
	}
}

func (w *world) dial() (nodev1.NodeServiceClient, *grpc.ClientConn) {
	w.t.Helper()
	conn, err := grpc.NewClient("unix://"+w.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return nodev1.NewNodeServiceClient(conn), conn
}

// TestConnectionEndsWithItsBatches: an application that is gone without a word holds none of its batches, and takes none from
// others of the same user.
func TestConnectionEndsWithItsBatches(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	app, conn := w.dial()
	for range maxBatchesConn {
		if _, err := begin(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	other, err := begin(t.Context(), w.raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if n := w.awaitBatches(1); n != 1 {
		t.Errorf("%d batches are open, want that of the other connection", n)
	}
	if _, err := w.raw.CommitBatch(t.Context(), &nodev1.CommitBatchRequest{Batch: other}); err != nil {
		t.Errorf("commit of the other's: %v", err)
	}
	w.server.batches.mu.Lock()
	defer w.server.batches.mu.Unlock()
	if b := w.server.batches; len(b.conns) != 0 || len(b.count) != 0 || b.bytes != 0 {
		t.Errorf("%d connections, %d callers and %d bytes are still counted", len(b.conns), len(b.count), b.bytes)
	}
}

// TestBatchOfCallThatEnded: a batch whose beginning was canceled is known to nobody, and not kept.
func TestBatchOfCallThatEnded(t *testing.T) {
	db := newDB(t, newWorld(t))
	b := newBatches()
	defer b.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.begin(ctx, nil, owner, db, false); !errors.Is(err, context.Canceled) {
		t.Errorf("begin for nobody: %v", err)
	}
	if b.total != 0 || len(b.open) != 0 {
		t.Errorf("%d batches are counted, %d open", b.total, len(b.open))
	}
}

// TestHTTPBatchesOutliveConnections: requests over HTTP that belong together may come over different connections, and what the
// gateway has within the process is no application.
func TestHTTPBatchesOutliveConnections(t *testing.T) {
	v := newWebWith(t, gateway.Options{})
	v.collection("db", "c")
	r := v.do("POST", "/v1/db/db/batches", "{}")
	if r.status != 200 {
		t.Fatalf("begin: %d %s", r.status, r.body)
	}
	v.http.CloseIdleConnections()
	if n := v.awaitBatches(1); n != 1 {
		t.Fatalf("%d batches are open, want 1", n)
	}
	if r := v.do("GET", "/v1/db/db", ""); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	if n := v.awaitBatches(1); n != 1 {
		t.Errorf("%d batches are open after another request, want 1", n)
	}
}
