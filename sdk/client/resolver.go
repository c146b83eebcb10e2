package client

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// ConflictGroup is conflicts that share batches, directly or over others, and have to be resolved together.
type ConflictGroup struct {
	// Conflicts are the rows in conflict.
	Conflicts []Conflict
	// Rows were written along with them but are not in conflict; Local is what they hold. They need no resolution.
	Rows []Conflict
	// Batches wrote the versions.
	Batches []ConflictBatch
}

// ConflictBatch is a batch that wrote versions of a group.
type ConflictBatch struct {
	// Name is the version of its first record.
	Name string
	// Local: it was written by the daemon's own device.
	Local bool
}

// ConflictHandler decides a group: it returns one resolution for each row in conflict, and may return more for the rows
// beside them. When it fails, the group is offered again later. Every device that has such a handler decides for itself, so
// it should come to the same result from the same conflict; where it does not, the last one counts.
type ConflictHandler func(ctx context.Context, g ConflictGroup) ([]Resolution, error)

// ResolverOptions are for ResolveConflicts.
type ResolverOptions struct {
	// Interrupted is told, if set, why the connection broke, each time before it is made again.
	Interrupted func(error)
	// Refused is told, if set, why an answer did not count: the handler failed, the answer did not fit or came too late, or
	// the conflict had changed. The group is offered again if it is still in conflict.
	Refused func(ConflictGroup, error)
}

// ResolveConflicts lets the handler decide the conflicts that the schema leaves to "app", one group after the other, until ctx
// ends or something happens that reconnecting cannot mend. Otherwise it outlives the connection. The handler has half a
// minute for a group; there may be several resolvers of a database, of which each group is offered to one at a time.
func (d *Database) ResolveConflicts(ctx context.Context, handler ConflictHandler, opts ResolverOptions) error {
	r := resolver{db: d, handler: handler, opts: opts}
	for pauses := firstPause; ; pauses = min(2*pauses, lastPause) {
		served, err := r.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if served {
			r.opened, pauses = true, firstPause
		}
		if !r.opened || !errors.Is(err, ErrUnavailable) {
			return err
		}
		if opts.Interrupted != nil {
			opts.Interrupted(err)
		}
		if err := pause(ctx, pauses); err != nil {
			return err
		}
	}
}

// resolver is a handler across its connections.
type resolver struct {
	db      *Database
	handler ConflictHandler
	opts    ResolverOptions
	// opened: a connection has been made.
	opened bool
	// group is what is being received, or was answered last.
	group ConflictGroup
	// failed is the offer at which the handler failed, 0 for none: that has been told, so what becomes of the empty answer is no news.
	failed uint64
}

type resolverStream = grpc.BidiStreamingClient[nodev1.ServeConflictsRequest, nodev1.ServeConflictsResponse]

// once follows one connection to its end, and tells whether it came about.
func (r *resolver) once(ctx context.Context) (served bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.failed = 0
	stream, err := r.db.c.api.ServeConflicts(ctx)
	if err != nil {
		return false, r.db.c.failure(err)
	}
	err = stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Database{Database: r.db.name}})
	if errors.Is(err, io.EOF) {
		err = nil // the reason comes from Recv
	}
	if err == nil {
		// The daemon sends its header as soon as the caller has a seat.
		var header metadata.MD
		header, err = stream.Header()
		served = header != nil
	}
	for err == nil {
		var m *nodev1.ServeConflictsResponse
		if m, err = stream.Recv(); err == nil {
			err = r.message(ctx, stream, m)
		}
		if errors.Is(err, io.EOF) {
			_, err = stream.Recv()
		}
	}
	return served, r.db.c.failure(err)
}

// refusals are what an answer may be refused for.
var refusals = map[string]error{
	"INVALID": ErrInvalid, "INVALID_NAME": ErrInvalid, "NO_ACCESS": ErrNoAccess, "CONFLICT": ErrConflict, "NO_CONFLICT": ErrConflict,
	"OFFER_PASSED": context.DeadlineExceeded,
}

func (r *resolver) message(ctx context.Context, stream resolverStream, m *nodev1.ServeConflictsResponse) error {
	if o := m.GetOutcome(); o != nil {
		if o.GetError() != "" && o.GetGroup() != r.failed {
			r.refused(&Error{Message: o.GetError(), Reason: o.GetReason(), kind: refusals[o.GetReason()]})
		}
		return nil
	}
	offer := m.GetOffer()
	if offer == nil {
		return nil // of a later version
	}
	r.receive(offer)
	if offer.GetContinued() {
		return nil
	}
	list, err := r.handler(ctx, r.group)
	r.failed = 0
	var answer []*nodev1.Resolution
	if err == nil {
		answer, err = protos(list)
	}
	if err != nil {
		r.refused(err)
		r.failed = offer.GetGroup()
		answer = nil // which is refused, too, and lets the group come again
	}
	return send(stream, offer.GetGroup(), answer)
}

// receive adds a part of an offer to the group.
func (r *resolver) receive(offer *nodev1.GroupOffer) {
	if len(offer.GetBatches()) > 0 || len(r.group.Conflicts) == 0 {
		r.group = ConflictGroup{}
	}
	for _, b := range offer.GetBatches() {
		r.group.Batches = append(r.group.Batches, ConflictBatch{Name: b.GetBatch(), Local: b.GetLocal()})
	}
	for _, p := range offer.GetConflicts() {
		if c := conflictOf(p); c.Open() {
			r.group.Conflicts = append(r.group.Conflicts, c)
		} else {
			r.group.Rows = append(r.group.Rows, c)
		}
	}
}

func (r *resolver) refused(err error) {
	if r.opts.Refused != nil {
		r.opts.Refused(r.group, err)
	}
}

// answerBytes is about how much one message of an answer carries.
const answerBytes = 1 << 20

// send sends an answer in parts of bounded size.
func send(stream resolverStream, group uint64, list []*nodev1.Resolution) error {
	for {
		n, size := 0, 0
		for n < len(list) && size < answerBytes {
			size += len(list[n].GetMerge().GetValue()) + 256
			n++
		}
		answer := &nodev1.GroupAnswer{Group: group, Resolutions: list[:n], Continued: n < len(list)}
		err := stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Answer{Answer: answer}})
		if err != nil || n == len(list) {
			return err
		}
		list = list[n:]
	}
}
