package api

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Doctor takes Admin on the service: it reads everything, of everybody.
func (s *Server) Doctor(req *nodev1.DoctorRequest, stream grpc.ServerStreamingServer[nodev1.DoctorResponse]) error {
	if _, err := s.service(stream.Context(), perm.Admin); err != nil {
		return err
	}
	if s.opts.Gone != nil {
		if err := s.opts.Gone(); err != nil {
			return Kind(ErrPrecondition, err)
		}
	}
	ctx, stop := s.untilDrained(stream.Context())
	defer stop()
	// Who does not listen any more ends the work.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	send := func(msg *nodev1.DoctorResponse) {
		if err := stream.Send(msg); err != nil {
			cancel(err)
		}
	}
	var how checkProgress
	if req.GetProgress() {
		how = tellProgress(send)
	}
	sum, err := s.opts.Rows.Check(ctx, func(f rows.Finding) {
		send(&nodev1.DoctorResponse{Message: &nodev1.DoctorResponse_Finding_{Finding: finding(f)}})
	}, how.ofRows())
	if err == nil && req.GetDeep() && ctx.Err() == nil {
		err = s.verifyBlobs(ctx, send, how, &sum)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return stream.Send(&nodev1.DoctorResponse{Message: &nodev1.DoctorResponse_Summary_{Summary: summary(sum)}})
}

// ruleBlobBytes: the bytes of a blob are what they were.
const ruleBlobBytes = "blob-bytes"

func (s *Server) verifyBlobs(ctx context.Context, send func(*nodev1.DoctorResponse), how checkProgress, sum *rows.Summary) error {
	if s.opts.BlobBytes == nil {
		return status.Error(codes.Unimplemented, "this daemon cannot verify the bytes of blobs")
	}
	return s.opts.BlobBytes.VerifyBlobs(ctx, func(ref, why string) {
		sum.Findings++
		found := &nodev1.DoctorResponse_Finding{Rule: ruleBlobBytes, Key: []byte(ref), Text: strings.ToValidUTF8(why, "?")}
		send(&nodev1.DoctorResponse{Message: &nodev1.DoctorResponse_Finding_{Finding: found}})
	}, func(n int) {
		if how != nil {
			how("reading the bytes of blobs", n, 0)
		}
	})
}

// progressEvery is how often it is told how far a check is.
const progressEvery = time.Second

// checkProgress is told how far a check is; nil tells nobody.
type checkProgress func(what string, done, of int)

func (tell checkProgress) ofRows() rows.Progress {
	if tell == nil {
		return rows.Progress{}
	}
	return rows.Progress{
		Files: func(done, of int) { tell("reading every file of the store", done, of) },
		Keys:  func(n int) { tell("checking the store", n, 0) },
	}
}

// tellProgress tells how far a check is when it begins with something else, and now and then.
func tellProgress(send func(*nodev1.DoctorResponse)) checkProgress {
	last, doing := time.Time{}, ""
	return func(what string, done, of int) {
		now := time.Now()
		if what == doing && now.Sub(last) < progressEvery {
			return
		}
		last, doing = now, what
		send(&nodev1.DoctorResponse{Message: &nodev1.DoctorResponse_Progress_{
			Progress: &nodev1.DoctorResponse_Progress{Doing: what, Done: uint64(done), Of: uint64(of)},
		}})
	}
}

// finding keeps what a damaged store may hold from being text that cannot be sent.
func finding(f rows.Finding) *nodev1.DoctorResponse_Finding {
	m := &nodev1.DoctorResponse_Finding{Rule: string(f.Rule), Key: f.Key, Text: strings.ToValidUTF8(f.Text, "?")}
	if f.Database != (id.Name{}) {
		m.Database = strings.ToValidUTF8(f.Database.String(), "?")
	}
	return m
}

func summary(s rows.Summary) *nodev1.DoctorResponse_Summary {
	return &nodev1.DoctorResponse_Summary{
		Databases: uint64(s.Databases), Collections: uint64(s.Collections), Rows: uint64(s.Rows), Tombstones: uint64(s.Tombstones),
		Records: uint64(s.Records), Commits: uint64(s.Commits), Findings: uint64(s.Findings),
	}
}
