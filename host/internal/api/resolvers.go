package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/resolve"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// answerWithin is how long a resolver of an application may take for a group unless Options say otherwise.
const answerWithin = 30 * time.Second

// gone reports whether a conflict has ended.
func gone(err error) bool {
	return errors.Is(err, rows.ErrNoConflict) || errors.Is(err, rows.ErrNoCollection)
}

type resolverStream = grpc.BidiStreamingServer[nodev1.ServeConflictsRequest, nodev1.ServeConflictsResponse]

// ServeConflicts takes Admin on the database: whoever decides conflicts may write everything that is in one.
func (s *Server) ServeConflicts(stream resolverStream) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	t, err := s.openFor(stream.Context(), first.GetDatabase(), perm.Admin)
	if err != nil {
		return err
	}
	if s.opts.Resolvers == nil {
		return fmt.Errorf("%w: this daemon offers no conflicts", ErrPrecondition)
	}
	ctx, done := s.untilDrained(stream.Context())
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := resolver{target: t, stream: stream, seat: s.opts.Resolvers.Attach(t.db)}
	defer r.seat.Close()
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	r.listen(ctx, cancel)
	for {
		if err := r.next(ctx); err != nil {
			if cause := context.Cause(ctx); ctx.Err() != nil && !errors.Is(cause, io.EOF) {
				return cause
			} else if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// resolver is an application that decides conflicts, for as long as its call lasts.
type resolver struct {
	*target
	stream resolverStream
	seat   *resolve.Seat
	// answers yields the messages of the client. The goroutine that receives them ends with the call.
	answers chan *nodev1.GroupAnswer
}

// listen receives until the stream ends, which ends ctx. Its goroutine ends with the call: gRPC lets no Recv outlive it.
func (r *resolver) listen(ctx context.Context, cancel context.CancelCauseFunc) {
	r.answers = make(chan *nodev1.GroupAnswer)
	go func() {
		for {
			m, err := r.stream.Recv()
			if err == nil && m.GetAnswer() == nil {
				err = fmt.Errorf("%w: a resolver says who it is once, and then only answers", ErrInvalid)
			}
			if err != nil {
				cancel(err)
				return
			}
			select {
			case r.answers <- m.GetAnswer():
			case <-ctx.Done():
				return
			}
		}
	}()
}

// next offers one group and waits for what becomes of it.
func (r *resolver) next(ctx context.Context) error {
	offer, err := r.await(ctx)
	if err != nil {
		return err
	}
	if err := r.refreshAdmin(); err != nil {
		return err
	}
	if err := r.offer(offer); err != nil {
		return err
	}
	list, err := r.answer(ctx, offer)
	if ctx.Err() != nil {
		return err
	}
	if err == nil {
		_, err = r.seat.Answer(offer.Number, list, r.guarded())
	} else {
		r.seat.Refuse(err)
	}
	outcome := &nodev1.GroupOutcome{Group: offer.Number}
	if err != nil {
		outcome.Error = err.Error()
		_, outcome.Reason = classify(err)
	}
	return r.stream.Send(&nodev1.ServeConflictsResponse{Message: &nodev1.ServeConflictsResponse_Outcome{Outcome: outcome}})
}

// await waits for a group; what is said meanwhile is late.
func (r *resolver) await(ctx context.Context) (*resolve.Offer, error) {
	type result struct {
		offer *resolve.Offer
		err   error
	}
	found := make(chan result, 1)
	go func() {
		offer, err := r.seat.Next(ctx)
		found <- result{offer, err}
	}()
	for {
		select {
		case f := <-found:
			return f.offer, f.err
		case <-r.answers:
			// An answer to an offer that has passed: its outcome was told when it did.
		}
	}
}

// refreshAdmin ends the call of who has lost the right to decide.
func (r *resolver) refreshAdmin() error {
	if err := r.refresh(); err != nil {
		return err
	}
	return acl.Database(r.list, r.caller, perm.Admin)
}

// offer sends a group in parts of bounded size.
func (r *resolver) offer(o *resolve.Offer) error {
	part := &nodev1.GroupOffer{Group: o.Number}
	for _, b := range o.Batches {
		part.Batches = append(part.Batches, &nodev1.ConflictBatch{
			Batch: b.String(), Local: b.Writer.Device == r.db.Writer().Device,
		})
	}
	send := func() error {
		return r.stream.Send(&nodev1.ServeConflictsResponse{Message: &nodev1.ServeConflictsResponse_Offer{Offer: part}})
	}
	size := 0
	for i := range o.Conflicts {
		c := &o.Conflicts[i]
		if size > messageBytes {
			part.Continued = true
			if err := send(); err != nil {
				return err
			}
			part, size = &nodev1.GroupOffer{Group: o.Number}, 0
		}
		part.Conflicts = append(part.Conflicts, conflictProto(c))
		size += rowOverhead + len(c.Key)
		for _, s := range c.Siblings {
			size += len(s.Value)
		}
	}
	return send()
}

// answer collects the parts of an answer to the offer.
func (r *resolver) answer(ctx context.Context, o *resolve.Offer) ([]rows.Resolution, error) {
	timer := time.NewTimer(r.s.opts.AnswerWithin)
	defer timer.Stop()
	offered := make(map[rows.ConflictRef][]rows.Sibling, len(o.Conflicts))
	for i := range o.Conflicts {
		offered[o.Conflicts[i].ConflictRef] = o.Conflicts[i].Siblings
	}
	var list []rows.Resolution
	size := 0
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			return nil, fmt.Errorf("%w: no answer within %v", resolve.ErrPassed, r.s.opts.AnswerWithin)
		case m := <-r.answers:
			if m.GetGroup() != o.Number {
				continue // late
			}
			for _, p := range m.GetResolutions() {
				res, err := r.read(p, offered)
				if err != nil {
					return nil, err
				}
				list = append(list, res)
				size += len(res.Value)
			}
			if len(list) > rows.MaxGroupRows || size > rows.MaxBatchBytes {
				return nil, fmt.Errorf("%w: an answer of %d rows and %d bytes", ErrInvalid, len(list), size)
			}
			if !m.GetContinued() {
				return list, nil
			}
		}
	}
}

// read understands one row of an answer. What it says about rows that were not offered the seat refuses.
func (r *resolver) read(p *nodev1.Resolution, offered map[rows.ConflictRef][]rows.Sibling) (res rows.Resolution, err error) {
	if res.Collection, err = r.name(p.GetCollection()); err != nil {
		return res, err
	}
	res.Key = p.GetKey()
	return res, fillResolution(&res, p, offered[res.ConflictRef])
}

// Resolvers seats the resolvers of applications.
type Resolvers interface {
	Attach(db *rows.DB) *resolve.Seat
}

// conflictCounts tells which databases have conflicts that are open.
func (s *Server) conflictCounts() (list []*nodev1.ConflictCount) {
	dbs, _ := s.opts.Rows.Databases()
	for _, db := range dbs {
		if open, overflow := db.OpenConflicts(); open > 0 || overflow > 0 {
			list = append(list, &nodev1.ConflictCount{Database: db.Name().String(), Open: uint64(open), Overflow: overflow})
		}
	}
	return list
}
