package discovery

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// revision counts the additions to version 1 of the protocol.
const revision = 1

const maxTextBytes = 256

// Kind makes a plugin of this kind from the author's factory.
func Kind(open Factory) plugin.Kind {
	return plugin.Kind{
		Service:  discoveryv1.DiscoveryService_ServiceDesc.ServiceName,
		Revision: revision,
		Open:     func(ctx context.Context, setup plugin.Setup) (any, error) { return open(ctx, setup) },
		Register: func(r grpc.ServiceRegistrar, live func() plugin.Live) {
			discoveryv1.RegisterDiscoveryServiceServer(r, &server{live: live, announcing: make(chan struct{}, 1)})
		},
		Endless: func(method string) bool {
			return method == discoveryv1.DiscoveryService_Announce_FullMethodName ||
				method == discoveryv1.DiscoveryService_Watch_FullMethodName
		},
	}
}

type server struct {
	discoveryv1.UnimplementedDiscoveryServiceServer
	live func() plugin.Live
	// announcing holds a token while a stream announces, so that Announce never runs twice at the same time.
	announcing chan struct{}
}

// Announce keeps one call of the author's Announce going for the newest request of the stream.
func (s *server) Announce(stream discoveryv1.DiscoveryService_AnnounceServer) error {
	ctx := stream.Context()
	select {
	case s.announcing <- struct{}{}:
		defer func() { <-s.announcing }()
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	author := s.live().Instance.(Plugin)
	requests := receiveAdverts(stream)
	var now announcement
	defer func() { now.withdraw() }()
	for {
		select {
		case r := <-requests:
			if errors.Is(r.err, io.EOF) {
				return nil
			}
			if r.err != nil {
				return r.err
			}
			now.withdraw()
			now = announce(ctx, author, r.advert, stream)
		case err := <-now.done:
			now.done = nil
			return status.Errorf(codes.Unavailable, "announcing has ended: %s", plugin.Clip(errorText(err), maxTextBytes))
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

type announceRequest struct {
	advert Advert
	err    error
}

// receiveAdverts reads the stream until it fails. Its goroutine ends with the stream.
func receiveAdverts(stream discoveryv1.DiscoveryService_AnnounceServer) <-chan announceRequest {
	out := make(chan announceRequest)
	go func() {
		for {
			var next announceRequest
			req, err := stream.Recv()
			if err != nil {
				next.err = err
			} else if next.advert = advertFromProto(req.GetAdvert()); next.advert.Validate() != nil {
				next.err = status.Errorf(codes.InvalidArgument, "advert: %v", next.advert.Validate())
			}
			select {
			case out <- next:
			case <-stream.Context().Done():
				return
			}
			if next.err != nil {
				return
			}
		}
	}()
	return out
}

// announcement is a running call of the author's Announce; the zero value is none.
type announcement struct {
	cancel context.CancelFunc
	// done gets the result of the call, once.
	done chan error
}

func announce(ctx context.Context, author Plugin, advert Advert, stream discoveryv1.DiscoveryService_AnnounceServer) announcement {
	ctx, cancel := context.WithCancel(ctx)
	a := announcement{cancel: cancel, done: make(chan error, 1)}
	published := func(where []string) {
		// A failure to send ends the stream, which Announce learns from its context.
		_ = stream.Send(&discoveryv1.AnnounceResponse{PublishedOn: clipped(where)})
	}
	go func() { a.done <- author.Announce(ctx, advert, published) }()
	return a
}

// withdraw ends the call and waits for it.
func (a *announcement) withdraw() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	if a.done != nil {
		<-a.done
	}
	*a = announcement{}
}

// Watch passes on what the author reports.
func (s *server) Watch(_ *discoveryv1.WatchRequest, stream discoveryv1.DiscoveryService_WatchServer) error {
	live := s.live()
	report := func(e Event) error {
		e.Source = plugin.Clip(e.Source, maxTextBytes)
		if err := e.Validate(); err != nil {
			live.Setup.Log.Warn("dropped an event", "source", e.Source, "error", err)
			return nil
		}
		return stream.Send(eventToProto(e))
	}
	err := live.Instance.(Plugin).Watch(stream.Context(), report)
	switch {
	case stream.Context().Err() != nil:
		return status.FromContextError(stream.Context().Err()).Err()
	case err == nil:
		return status.Error(codes.Unavailable, "the watch has ended")
	}
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	return status.Error(codes.Unavailable, plugin.Clip(err.Error(), maxTextBytes))
}

func clipped(texts []string) []string {
	out := make([]string, 0, min(len(texts), MaxAddresses))
	for _, text := range texts[:min(len(texts), MaxAddresses)] {
		out = append(out, plugin.Clip(text, maxTextBytes))
	}
	return out
}

func errorText(err error) string {
	if err == nil {
		return "the plugin returned without an error"
	}
	return err.Error()
}
