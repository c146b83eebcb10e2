package plug

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A process whose connection broke counts as dead although the machine takes its time to say so, and one that lives on with a
// broken connection does not hold up its callers for ever.
func TestBrokenConnectionAwaitsTheEnd(t *testing.T) {
	for after, want := range map[time.Duration]bool{time.Millisecond: true, 3 * time.Second: true, time.Hour: false} {
		synctest.Test(t, func(t *testing.T) {
			conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			gone := make(chan struct{})
			defer time.AfterFunc(after, func() { close(gone) }).Stop()
			h, l := newHandle(), &live{conn: conn, gone: gone}
			h.publish(l)
			if got := lost(t.Context(), h, l); got != want {
				t.Errorf("a process that ends after %s: lost %t, want %t", after, got, want)
			}
		})
	}
}
