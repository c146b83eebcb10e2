package blobstore

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// revision counts the additions to version 1 of the protocol.
const revision = 1

// Kind makes a plugin of this kind from the author's factory. The store may also implement Locator and the optional
// interfaces that plugin.Kind names.
func Kind(open Factory) plugin.Kind {
	return plugin.Kind{
		Service:  blobstorev1.BlobStoreService_ServiceDesc.ServiceName,
		Revision: revision,
		Open:     func(ctx context.Context, setup plugin.Setup) (any, error) { return open(ctx, setup) },
		Register: func(r grpc.ServiceRegistrar, live func() plugin.Live) {
			blobstorev1.RegisterBlobStoreServiceServer(r, &server{live: live})
		},
	}
}

// server implements the protocol in terms of a Store. Put and Get have files of their own.
type server struct {
	blobstorev1.UnimplementedBlobStoreServiceServer
	live func() plugin.Live
}

func (s *server) store() Store { return s.live().Instance.(Store) }

// Stat implements the protocol.
func (s *server) Stat(ctx context.Context, req *blobstorev1.StatRequest) (*blobstorev1.StatResponse, error) {
	if err := checkBatch(len(req.GetKeys())); err != nil {
		return nil, err
	}
	store := s.store()
	out := &blobstorev1.StatResponse{Entries: make([]*blobstorev1.Entry, 0, len(req.GetKeys()))}
	for _, raw := range req.GetKeys() {
		out.Entries = append(out.Entries, statEntry(ctx, store, raw))
	}
	return out, nil
}

func statEntry(ctx context.Context, store Store, raw []byte) *blobstorev1.Entry {
	key, err := checkKey(raw)
	if err != nil {
		return &blobstorev1.Entry{Key: raw, Fault: faultOf(err)}
	}
	info, err := store.Stat(ctx, key)
	switch {
	case Code(err) == codes.NotFound:
		return &blobstorev1.Entry{Key: raw, Missing: true}
	case err != nil:
		return &blobstorev1.Entry{Key: raw, Fault: faultOf(err)}
	}
	info.Key = key
	return entryOf(info)
}

func entryOf(info Info) *blobstorev1.Entry {
	e := &blobstorev1.Entry{Key: []byte(info.Key), Size: uint64(max(info.Size, 0))}
	if !info.Modified.IsZero() {
		e.Modified = timestamppb.New(info.Modified)
	}
	return e
}

// List implements the protocol.
func (s *server) List(req *blobstorev1.ListRequest, stream blobstorev1.BlobStoreService_ListServer) error {
	if len(req.GetPrefix()) > MaxKeyBytes || len(req.GetStartAfter()) > MaxKeyBytes {
		return status.Errorf(codes.InvalidArgument, "prefix and start_after may have %d bytes at most", MaxKeyBytes)
	}
	prefix, last := Key(req.GetPrefix()), Key(req.GetStartAfter())
	var page []*blobstorev1.Entry
	var sent uint64
	for info, err := range s.store().List(stream.Context(), prefix, last) {
		if err != nil {
			return statusOf(err)
		}
		if info.Key <= last || !strings.HasPrefix(string(info.Key), string(prefix)) {
			return status.Errorf(codes.Internal, "the store lists %q after %q with prefix %q: out of order", info.Key, last, prefix)
		}
		last = info.Key
		page = append(page, entryOf(info))
		sent++
		if len(page) == PageEntries {
			if err := stream.Send(&blobstorev1.ListResponse{Entries: page}); err != nil {
				return err
			}
			page = nil
		}
		if sent == req.GetLimit() {
			break
		}
	}
	if len(page) == 0 {
		return nil
	}
	return stream.Send(&blobstorev1.ListResponse{Entries: page})
}

// Delete implements the protocol.
func (s *server) Delete(ctx context.Context, req *blobstorev1.DeleteRequest) (*blobstorev1.DeleteResponse, error) {
	if err := checkBatch(len(req.GetKeys())); err != nil {
		return nil, err
	}
	errs := make([]error, len(req.GetKeys()))
	var keys []Key
	var at []int // positions of keys within the request
	for i, raw := range req.GetKeys() {
		key, err := checkKey(raw)
		if err != nil {
			errs[i] = err
			continue
		}
		keys, at = append(keys, key), append(at, i)
	}
	for i, err := range deleteBatch(ctx, s.store(), keys) {
		errs[at[i]] = err
	}
	out := &blobstorev1.DeleteResponse{Faults: make([]*blobstorev1.Fault, len(errs))}
	for i, err := range errs {
		// Answers are matched by position, so success is a fault too, with code 0.
		out.Faults[i] = &blobstorev1.Fault{}
		if err != nil && Code(err) != codes.NotFound {
			out.Faults[i] = faultOf(err)
		}
	}
	return out, nil
}

// deleteBatch answers as many errors as there are keys, whatever the store answers.
func deleteBatch(ctx context.Context, store Store, keys []Key) []error {
	errs := make([]error, len(keys))
	batcher, ok := store.(BatchDeleter)
	if !ok {
		for i, key := range keys {
			errs[i] = store.Delete(ctx, key)
		}
		return errs
	}
	answers := batcher.DeleteBatch(ctx, keys)
	if len(answers) == len(keys) {
		return answers
	}
	for i := range errs {
		errs[i] = fmt.Errorf("the store gave %d answers to the deletion of %d objects", len(answers), len(keys))
	}
	return errs
}

// Usage implements the protocol.
func (s *server) Usage(ctx context.Context, _ *blobstorev1.UsageRequest) (*blobstorev1.UsageResponse, error) {
	usage, err := s.store().Usage(ctx)
	if err != nil {
		return nil, statusOf(err)
	}
	out := &blobstorev1.UsageResponse{Objects: usage.Objects, Bytes: usage.Bytes}
	if usage.Available >= 0 {
		available := uint64(usage.Available)
		out.Available = &available
	}
	return out, nil
}

// Locate implements the protocol.
func (s *server) Locate(ctx context.Context, req *blobstorev1.LocateRequest) (*blobstorev1.LocateResponse, error) {
	locator, ok := s.store().(Locator)
	if !ok {
		return nil, statusOf(fmt.Errorf("locate: %w", ErrUnsupported))
	}
	if err := checkBatch(len(req.GetKeys())); err != nil {
		return nil, err
	}
	out := &blobstorev1.LocateResponse{}
	for _, raw := range req.GetKeys() {
		out.Locations = append(out.Locations, locateOne(ctx, locator, raw))
	}
	return out, nil
}

func locateOne(ctx context.Context, locator Locator, raw []byte) *blobstorev1.Location {
	key, err := checkKey(raw)
	if err != nil {
		return &blobstorev1.Location{Fault: faultOf(err)}
	}
	at, err := locator.Locate(ctx, key)
	if err != nil {
		return &blobstorev1.Location{Fault: faultOf(err)}
	}
	return &blobstorev1.Location{Path: at.Path, Offset: uint64(at.Offset), Length: uint64(at.Length)}
}

func checkBatch(keys int) error {
	if keys > MaxBatch {
		return status.Errorf(codes.InvalidArgument, "%d keys, at most %d are allowed", keys, MaxBatch)
	}
	return nil
}
