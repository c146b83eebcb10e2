package plug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
)

const (
	// ItemLimit is how long a resolver may take for one request.
	ItemLimit = time.Second

	maxMerged   = 4 << 20
	maxTypeName = 256
)

// Resolver decides conflicts. Safe for concurrent use.
type Resolver struct{ caller }

// Resolver returns the facade of an instance of kind resolver. The instance need not exist yet.
func (h *Host) Resolver(name string) *Resolver {
	return &Resolver{caller{host: h, kind: KindResolver, name: name}}
}

// Version is one of the concurrent states of a row.
type Version struct {
	ID, Author []byte
	HLC        uint64
	Deleted    bool
	Type       string
	Value      []byte
}

// Request is one conflict.
type Request struct {
	Collection, Key string
	Base            *Version  // nearest common ancestor, nil if there is none
	Siblings        []Version // two or more, in ascending order of their ids
}

// Verdict says how a conflict ends.
type Verdict uint8

// The verdicts. The zero value leaves the conflict open.
const (
	KeepConflict Verdict = iota
	Pick
	Merged
	Delete
)

// Decision is the answer to one Request.
type Decision struct {
	Verdict Verdict
	Pick    []byte // with Pick: the id of a sibling
	Type    string // with Merged
	Value   []byte // with Merged
	// Err says why a conflict stays open although the plugin did not want that: it failed on it, gave no answer in time
	// or one that makes no sense.
	Err error
}

// errNoAnswer is the Err of a Decision that did not come in time.
var errNoAnswer = fmt.Errorf("%w: no decision within %v", ErrTransient, ItemLimit)

// Resolve returns one decision for each request, in order. The plugin has one second for each. When it fails on the way,
// what it has not decided stays open, with the reason in the decision; an error means that it decided nothing.
func (r *Resolver) Resolve(ctx context.Context, requests []Request) ([]Decision, error) {
	batch := &resolution{requests: requests, decisions: make([]Decision, len(requests)), answered: make([]bool, len(requests))}
	err := r.do(ctx, "resolve", batch.attempt)
	if err != nil && !errors.Is(err, errNoAnswer) && !slices.Contains(batch.answered, true) {
		return nil, err
	}
	for i, ok := range batch.answered {
		if !ok {
			batch.decisions[i] = Decision{Err: err}
		}
	}
	return batch.decisions, nil
}

// resolution is a batch of requests on its way; what has no answer yet is asked again after a restart.
type resolution struct {
	requests  []Request
	decisions []Decision
	answered  []bool
	attempts  int
}

// attempt asks everything that has no answer yet. Whenever a second passes without an answer the plugin is given up.
func (b *resolution) attempt(ctx context.Context, l *live) error {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(ItemLimit, func() { cancel(errNoAnswer) })
	defer timer.Stop()
	stream, err := resolverv1.NewResolverServiceClient(l.conn).Resolve(ctx)
	if err != nil {
		cancel(nil)
		return b.failure(ctx, err)
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel(nil)
	open := b.open()
	window := make(chan struct{}, b.window()) // a token for each request under way
	asking.Go(func() { b.ask(ctx, stream, open, window) })
	for range open {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the stream ended without an answer", ErrProtocol)
		}
		if err != nil {
			return b.failure(ctx, err)
		}
		i := resp.GetSeq() - 1
		if i >= uint64(len(b.requests)) || b.answered[i] {
			return fmt.Errorf("%w: answer to request %d, which is not open", ErrProtocol, resp.GetSeq())
		}
		b.decisions[i], b.answered[i] = b.requests[i].decision(resp), true
		timer.Reset(ItemLimit)
		select {
		case <-window:
		default: // an answer to a request that is about to be asked
		}
	}
	return nil
}

// window bounds the requests that are under way. After a crash they go one by one, so that the one which crashes the
// plugin takes no other with it.
func (b *resolution) window() int {
	b.attempts++
	if b.attempts > 1 {
		return 1
	}
	return 64
}

// open lists the requests without an answer.
func (b *resolution) open() []int {
	var open []int
	for i, ok := range b.answered {
		if !ok {
			open = append(open, i)
		}
	}
	return open
}

// ask sends the open requests. A failure shows at the receiving end of the stream.
func (b *resolution) ask(ctx context.Context, stream resolverv1.ResolverService_ResolveClient, open []int, window chan<- struct{}) {
	for _, i := range open {
		select {
		case window <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if err := stream.Send(b.requests[i].proto(i)); err != nil {
			return
		}
	}
	_ = stream.CloseSend()
}

// failure prefers the reason for which the plugin was given up.
func (b *resolution) failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
		return cause
	}
	return err
}

func (q Request) proto(i int) *resolverv1.ResolveRequest {
	req := &resolverv1.ResolveRequest{Seq: uint64(i) + 1, Collection: q.Collection, Key: q.Key}
	if q.Base != nil {
		req.Base = q.Base.proto()
	}
	for _, v := range q.Siblings {
		req.Siblings = append(req.Siblings, v.proto())
	}
	return req
}

func (v Version) proto() *resolverv1.Version {
	return &resolverv1.Version{Id: v.ID, Author: v.Author, Hlc: v.HLC, Deleted: v.Deleted, Type: v.Type, Value: v.Value}
}

// decision reads an answer; one that makes no sense leaves the conflict open.
func (q Request) decision(resp *resolverv1.ResolveResponse) Decision {
	switch d := resp.GetDecision().(type) {
	case *resolverv1.ResolveResponse_Pick:
		for _, v := range q.Siblings {
			if bytes.Equal(v.ID, d.Pick) {
				return Decision{Verdict: Pick, Pick: v.ID}
			}
		}
		return Decision{Err: fmt.Errorf("%w: picked a version that is no sibling", ErrProtocol)}
	case *resolverv1.ResolveResponse_Merged:
		value, typ := d.Merged.GetValue(), d.Merged.GetType()
		if len(value) > maxMerged || len(typ) > maxTypeName {
			return Decision{Err: fmt.Errorf("%w: merged value of %d bytes, type of %d bytes", ErrProtocol, len(value), len(typ))}
		}
		return Decision{Verdict: Merged, Type: typ, Value: value}
	case *resolverv1.ResolveResponse_Delete:
		if d.Delete {
			return Decision{Verdict: Delete}
		}
	case *resolverv1.ResolveResponse_KeepConflict:
		if d.KeepConflict {
			return Decision{}
		}
	case *resolverv1.ResolveResponse_Error:
		return Decision{Err: fmt.Errorf("resolver: %s", bounded(d.Error, maxMessage))}
	}
	return Decision{Err: fmt.Errorf("%w: an answer without a decision", ErrProtocol)}
}
