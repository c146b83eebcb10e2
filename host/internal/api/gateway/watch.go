package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// A watch is a stream of server-sent events, or of lines for who accepts nothing but those. Every message of the call is
// one event whose data is the message. The marker after which the watch can go on is the id of the event, which browsers
// send as Last-Event-ID when they connect again: a batch that comes in several messages has its id on the last,
// so that it is never continued in its middle. A marker without changes is an id
// without data, unless it ends something. What ends a stream is told in an event of its own, with the marker.

const (
	eventType = "text/event-stream"
	// reconnectMillis is how long a browser waits before it connects again.
	reconnectMillis = "1000"
)

func (g *Gateway) serveWatch(w *paced, r *http.Request, p place) error {
	q, err := parameters(r, "collection", "prefix", "resume", "initial")
	if err != nil {
		return err
	}
	req := &nodev1.WatchRequest{
		Database: p.database, Collection: q.text("collection"), Prefix: q.text("prefix"),
		Resume: q.text("resume"), Initial: q.flag("initial"),
	}
	if q.err != nil {
		return q.err
	}
	// A browser that connects again asks for the same path; where it was is newer than what stands there.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		req.Resume = last
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream, err := g.client.Watch(ctx, req)
	if err != nil {
		return err
	}
	out := g.newWatchWriter(w, r)
	out.begun = req.GetInitial() && req.GetResume() == ""
	messages := receive(ctx, stream)
	defer messages.wait()
	defer cancel()
	out.follow(ctx, messages.next)
	return nil
}

// received is one message of a watch, or what ended it.
type received struct {
	message *nodev1.WatchResponse
	err     error
}

// receiver reads a watch, so that its reader can do something else, too, while there is nothing.
type receiver struct {
	// next has the messages in order; the last one has an error. It holds none: what is not taken stays in the stream, and
	// in the end with the daemon, which reads it from its log.
	next chan received
	wg   sync.WaitGroup
}

// receive begins to read; it ends with ctx.
func receive(ctx context.Context, stream grpc.ServerStreamingClient[nodev1.WatchResponse]) *receiver {
	r := &receiver{next: make(chan received)}
	r.wg.Go(func() {
		for {
			m, err := stream.Recv()
			select {
			case r.next <- received{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	return r
}

func (r *receiver) wait() { r.wg.Wait() }

// watchWriter writes a watch in one of its two forms.
type watchWriter struct {
	w *paced
	// patience is how long the client may take for one event before the stream is ended, in a way that it can understand. Who
	// takes twice as long is cut off.
	patience  time.Duration
	heartbeat time.Duration
	events    bool
	// opened: the first message, which says where the watch begins, was written.
	opened bool
	// begun: what comes next belongs to a batch, or to an initial state, whose end the application waits for.
	begun bool
	// resume is the last marker that was written.
	resume string
	buf    []byte
}

func (g *Gateway) newWatchWriter(w *paced, r *http.Request) *watchWriter {
	slow := *w
	slow.patience = 2 * w.patience
	out := &watchWriter{w: &slow, patience: w.patience, heartbeat: g.opts.Heartbeat}
	accept := r.Header.Get("Accept")
	out.events = !strings.Contains(accept, lineType) || strings.Contains(accept, eventType)
	header := w.Header()
	header.Set("Content-Type", lineType)
	if out.events {
		header.Set("Content-Type", eventType)
		out.buf = append(out.buf, "retry: "+reconnectMillis+"\n\n"...)
	}
	header.Set("Cache-Control", "no-store")
	// Proxies that gather answers would keep changes from arriving.
	header.Set("X-Accel-Buffering", "no")
	return out
}

// errSlow ends a watch whose client does not keep up.
var errSlow = &failure{
	Code: "RESOURCE_EXHAUSTED", Reason: "SLOW_CONSUMER",
	Message: "changes are not taken as fast as they come; go on after the marker",
}

// follow writes messages until one ends the watch, the client leaves, or it is too slow.
func (o *watchWriter) follow(ctx context.Context, messages <-chan received) {
	ticker := time.NewTicker(o.heartbeat)
	defer ticker.Stop()
	for {
		var next received
		select {
		case next = <-messages:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			o.end(failureOf(ended(next.err)))
			return
		}
		began := time.Now()
		if o.event(next.message) != nil {
			return
		}
		if time.Since(began) > o.patience {
			o.end(errSlow)
			return
		}
	}
}

// ended says that a stream of the daemon ended without a reason, which it should not.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return &failure{Code: "UNAVAILABLE", Reason: "UNAVAILABLE", Message: "the daemon ended the watch; go on after the marker"}
	}
	return err
}

// event writes a message; without one, something that means nothing, so that either side notices when the other is gone.
func (o *watchWriter) event(m *nodev1.WatchResponse) error {
	if m == nil {
		if o.events {
			o.buf = append(o.buf, ':')
		}
		return o.send()
	}
	if m.GetResume() != "" {
		o.resume = m.GetResume()
	}
	if o.events {
		if m.GetResume() != "" {
			o.buf = append(append(append(o.buf, "id: "...), m.GetResume()...), '\n')
		}
		if len(m.GetChanges()) == 0 && !(o.opened && o.begun) && !m.GetContinued() {
			o.opened = true
			return o.mark()
		}
		o.opened, o.begun = true, m.GetContinued()
		o.buf = append(o.buf, "data: "...)
	}
	o.buf = appendMessage(o.buf, m.ProtoReflect())
	return o.send()
}

// mark writes a marker with which nothing has changed, such as the one at which a watch begins. An event without data tells
// a client from where to go on, and is not handed to the application.
func (o *watchWriter) mark() error {
	if len(o.buf) == 0 {
		return nil // not even a marker
	}
	o.buf = o.buf[:len(o.buf)-1] // send ends the line
	return o.send()
}

// end tells why the watch ends, and after which marker it can go on.
func (o *watchWriter) end(f *failure) {
	last := *f
	last.Resume = o.resume
	if !o.events {
		o.buf = appendFailure(o.buf, &last)
		o.buf = o.buf[:len(o.buf)-1]
		_ = o.send()
		return
	}
	text, _ := json.Marshal(&last) // texts and JSON that was checked
	o.buf = append(append(o.buf, "event: error\ndata: "...), text...)
	_ = o.send()
}

// send writes what is in the buffer as one event.
func (o *watchWriter) send() error {
	o.buf = append(o.buf, '\n')
	if o.events {
		o.buf = append(o.buf, '\n')
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	if err != nil {
		return err
	}
	return o.w.FlushError()
}
