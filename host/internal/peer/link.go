package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Peer is who is at the other end of a link.
type Peer struct {
	// Name of the node, for people.
	Name string
	// Principal proven by its certificate.
	Principal id.Principal
	// Device it says it is; no other principal has said so.
	Device id.Device
	// Instance names the run of its daemon; zero for an old one. Copies of one device that run at the same time differ in it.
	Instance Instance
	// Software and Features as it told them.
	Software string
	Features []string
	// Address it was reached at or, if Callback is set, calls from.
	Address string
	// Callback: the peer made the connection of the link.
	Callback bool
}

// Link is a live connection that this side has opened to a peer, for its own requests. Safe for concurrent use. Every
// error of a request has one of the classes of this package or a gRPC status.
type Link struct {
	peer    Peer
	channel *channel
	conn    *grpc.ClientConn
	client  peerv1.PeerServiceClient
	// members is the part of the service that is about membership.
	members  peerv1.MembershipServiceClient
	compare  peerv1.ComparisonServiceClient
	refusals peerv1.RefusalServiceClient
	// ctx ends with the link; its cause says why.
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// Peer returns who is at the other end.
func (l *Link) Peer() Peer { return l.peer }

// Done is closed when the link is down.
func (l *Link) Done() <-chan struct{} { return l.ctx.Done() }

// Err returns why the link is down, nil while it is up.
func (l *Link) Err() error {
	if l.ctx.Err() == nil {
		return nil
	}
	return context.Cause(l.ctx)
}

// Has reports whether the peer understands a feature.
func (l *Link) Has(feature string) bool { return slices.Contains(l.peer.Features, feature) }

// failed turns the error of a request into what the caller sees, and ends the link when the peer broke the protocol.
func (l *Link) failed(err error) error {
	if down := l.Err(); errors.Is(down, ErrUnreachable) && !errors.Is(err, ErrProtocol) {
		return down
	} else if down != nil && !errors.Is(err, ErrProtocol) {
		return fmt.Errorf("%w: %w", ErrUnreachable, down)
	}
	err = classify(err)
	if errors.Is(err, ErrProtocol) {
		l.cancel(err)
	}
	return fmt.Errorf("peer %s: %w", l.peer.Name, err)
}

// Join asks to be admitted to a syncgroup as a "normal", "server" or "leaf" member.
func (l *Link) Join(ctx context.Context, database, syncgroup id.Name, memberType string) (Admission, error) {
	t, ok := memberTypes[memberType]
	if !ok {
		return Admission{}, fmt.Errorf("member type %q: want normal, server or leaf", memberType)
	}
	resp, err := l.client.Join(ctx, &peerv1.JoinRequest{
		Database:   encodeName(database),
		Syncgroup:  encodeName(syncgroup),
		MemberType: t,
	})
	if err != nil {
		return Admission{}, l.failed(err)
	}
	if err := checkSpec(resp.GetSpec()); err != nil {
		return Admission{}, l.failed(violation("%w", err))
	}
	known, err := decodeVector(resp.GetKnown())
	if err != nil {
		return Admission{}, l.failed(violation("what it knows: %w", err))
	}
	return Admission{Spec: resp.GetSpec(), Known: known}, nil
}

// Recipe returns the encoded recipe of a blob, which may have limit bytes at most. It is not verified.
func (l *Link) Recipe(ctx context.Context, ref string, limit int) ([]byte, error) {
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.client.GetRecipe(ctx, &peerv1.GetRecipeRequest{Ref: ref}, grpc.MaxCallRecvMsgSize(2*maxRecipePart))
	if err != nil {
		return nil, l.failed(err)
	}
	var recipe []byte
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return recipe, nil
		}
		if err != nil {
			return nil, l.failed(err)
		}
		if n := len(part.GetData()); n == 0 || n > maxRecipePart {
			return nil, l.failed(violation("a part of a recipe of %d bytes, want 1 to %d", n, maxRecipePart))
		}
		if len(recipe)+len(part.GetData()) > limit {
			return nil, l.failed(violation("a recipe of more than %d bytes", limit))
		}
		recipe = append(recipe, part.GetData()...)
	}
}

// Chunks fetches chunks of a blob by their positions in the recipe, at most 4,096, and hands each to visit in the order
// of indexes. The data is visit's to keep; it is not verified. An error of visit ends the request and is returned.
func (l *Link) Chunks(ctx context.Context, ref string, indexes []uint32, visit func(index uint32, data []byte) error) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if len(indexes) == 0 || len(indexes) > maxIndexes {
		return fmt.Errorf("%d chunks asked for at once, want 1 to %d", len(indexes), maxIndexes)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.client.GetChunks(ctx, &peerv1.GetChunksRequest{Ref: ref, Indexes: indexes}, grpc.MaxCallRecvMsgSize(2*maxChunk))
	if err != nil {
		return l.failed(err)
	}
	for _, want := range indexes {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return l.failed(violation("fewer than the %d chunks asked for", len(indexes)))
		}
		if err != nil {
			return l.failed(err)
		}
		if m.GetIndex() != want {
			return l.failed(violation("chunk %d where %d was asked for", m.GetIndex(), want))
		}
		if n := len(m.GetData()); n == 0 || n > maxChunk {
			return l.failed(violation("a chunk of %d bytes, want 1 to %d", n, maxChunk))
		}
		if err := visit(want, m.GetData()); err != nil {
			return err
		}
	}
	if _, err := stream.Recv(); err == nil {
		return l.failed(violation("more than the %d chunks asked for", len(indexes)))
	} else if !errors.Is(err, io.EOF) {
		return l.failed(err)
	}
	return nil
}
