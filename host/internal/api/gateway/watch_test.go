package gateway

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// slowClient takes so long for each event.
type slowClient struct {
	header http.Header
	takes  time.Duration
	got    strings.Builder
}

func (c *slowClient) Header() http.Header { return c.header }
func (c *slowClient) WriteHeader(int)     {}
func (c *slowClient) Flush()              {}
func (c *slowClient) Write(data []byte) (int, error) {
	time.Sleep(c.takes)
	return c.got.Write(data)
}

func slowWatch(takes time.Duration, accept string) *slowClient {
	c := &slowClient{header: http.Header{}, takes: takes}
	w := &paced{ResponseWriter: c, control: http.NewResponseController(c), patience: 30 * time.Second}
	g := &Gateway{opts: Options{Heartbeat: 15 * time.Second}}
	out := g.newWatchWriter(w, &http.Request{Header: http.Header{"Accept": {accept}}})
	messages := make(chan received)
	ctx, cancel := context.WithCancel(context.Background())
	var feed sync.WaitGroup
	feed.Go(func() {
		defer cancel()
		for _, marker := range []string{"one", "two", "three"} {
			select {
			case messages <- received{message: &nodev1.WatchResponse{Resume: marker}}:
			case <-ctx.Done():
			}
		}
		select {
		case <-time.After(20 * time.Second): // a heartbeat
		case <-ctx.Done():
		}
	})
	out.follow(ctx, messages)
	cancel()
	feed.Wait()
	return c
}

// TestSlowConsumer ends a watch whose client takes longer for an event than it may, with the marker to go on from.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := slowWatch(31*time.Second, "text/event-stream").got.String()
		want := "retry: 1000\n\nid: one\n\n" +
			"event: error\ndata: {\"code\":\"RESOURCE_EXHAUSTED\",\"reason\":\"SLOW_CONSUMER\",\"message\":\"" + errSlow.Message + "\",\"resume\":\"one\"}\n\n"
		if got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
		got = slowWatch(31*time.Second, "application/x-ndjson").got.String()
		want = "{\"changes\":[],\"continued\":false,\"resume\":\"one\"}\n" +
			"{\"error\":{\"code\":\"RESOURCE_EXHAUSTED\",\"reason\":\"SLOW_CONSUMER\",\"message\":\"" + errSlow.Message + "\",\"resume\":\"one\"}}\n"
		if got != want {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// TestConsumer lets a client go on that takes its time within bounds, and shows it that the watch is alive.
func TestConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := slowWatch(time.Second, "text/event-stream").got.String()
		if strings.Contains(got, "error") || !strings.Contains(got, "id: three\n") || !strings.HasSuffix(got, "\n\n:\n\n") {
			t.Errorf("got %q", got)
		}
	})
}
