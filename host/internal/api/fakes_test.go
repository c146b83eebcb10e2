package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/syncbase/syncbase/host/internal/id"
)

// fakes keep just enough to see that calls arrive and answers leave.
type fakes struct {
	// mu guards the fields below it.
	mu    sync.Mutex
	blob  []byte
	specs map[id.Name]NewSyncgroup
	// waits, if set, makes Wait and Fetch last until the context ends; it is closed when one has begun.
	waits chan struct{}
	// torn is what reading the bytes of a blob fails with.
	torn error
	// within is the collection whose rows refer to the blob, if there is one.
	within id.Collection
}

func (f *fakes) block(ctx context.Context) error {
	f.mu.Lock()
	waits := f.waits
	f.waits = nil
	f.mu.Unlock()
	if waits == nil {
		return nil
	}
	close(waits)
	<-ctx.Done()
	return ctx.Err()
}

type fakeSyncgroups struct{ *fakes }

func (f fakeSyncgroups) Create(_ context.Context, _ id.Principal, db, sg id.Name, spec NewSyncgroup) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.specs == nil {
		f.specs = map[id.Name]NewSyncgroup{}
	}
	if _, exists := f.specs[sg]; exists {
		return fmt.Errorf("syncgroup %s %w", sg, ErrExists)
	}
	f.specs[sg] = spec
	return nil
}

func (f fakeSyncgroups) Join(_ context.Context, _ id.Principal, _, sg id.Name, how Join) (string, error) {
	if how.Peer == "nobody" {
		return "", fmt.Errorf("%w: no peer knows %s", ErrNotFound, sg)
	}
	return "server", nil
}

func (f fakeSyncgroups) States(context.Context) ([]SyncgroupState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []SyncgroupState
	for sg := range f.specs {
		list = append(list, SyncgroupState{Database: id.Name{Owner: owner, Local: "db"}, Name: sg, Members: 1, State: "member"})
	}
	return list, nil
}

func (f fakeSyncgroups) Spec(_ context.Context, _, sg id.Name) (SyncgroupSpec, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	spec, found := f.specs[sg]
	if !found {
		return SyncgroupSpec{}, fmt.Errorf("%w: syncgroup %s", ErrNotFound, sg)
	}
	return SyncgroupSpec{JSON: []byte(`{"description":"d"}`), Version: "1", Permissions: spec.Permissions}, nil
}

func (f fakeSyncgroups) Members(context.Context, id.Name, id.Name) ([]Member, error) {
	return []Member{{Principal: laptop, Type: "server"}}, nil
}

func (f fakeSyncgroups) SetSpec(context.Context, id.Principal, id.Name, id.Name, []byte, id.Version) (string, error) {
	return "0000000000000001.1-2", nil
}

func (f fakeSyncgroups) Leave(context.Context, id.Name, id.Name) error { return nil }

func (f fakeSyncgroups) Destroy(context.Context, id.Principal, id.Name, id.Name) error { return nil }

func (f fakeSyncgroups) Eject(context.Context, id.Principal, id.Name, id.Name, string) (id.Principal, error) {
	return laptop, nil
}

func (f fakeSyncgroups) Allow(context.Context, id.Name, id.Name, string) (id.Principal, error) {
	return laptop, nil
}

func (f fakeSyncgroups) Invitations(context.Context) ([]Invitation, error) {
	return []Invitation{{Database: id.Name{Owner: owner, Local: "db"}, Syncgroup: id.Name{Owner: owner, Local: "other"}, Peers: []id.Principal{laptop}}}, nil
}

func (f fakeSyncgroups) Decline(context.Context, id.Name, id.Name) error { return nil }

func (f fakeSyncgroups) Wait(ctx context.Context, _, _ id.Name) (int, error) { return 2, f.block(ctx) }

type fakeBlobs struct{ *fakes }

const fakeRef = "blob1-fake"

func (f fakeBlobs) Put(_ context.Context, _ uint32, r io.Reader) (string, uint64, error) {
	data, err := io.ReadAll(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blob = data
	return fakeRef, uint64(len(data)), err
}

func (f fakeBlobs) bytes(of BlobScope, ref string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ref != fakeRef || f.blob == nil || f.within.Name.Local != "" && !of.MayRead(f.within) {
		return nil, fmt.Errorf("%w: blob %s", ErrNotFound, ref)
	}
	return f.blob, nil
}

func (f fakeBlobs) Read(_ context.Context, of BlobScope, ref string, offset, length uint64, started func(uint64) error, w io.Writer) error {
	data, err := f.bytes(of, ref)
	if err != nil {
		return err
	}
	if err := started(uint64(len(data))); err != nil {
		return err
	}
	f.mu.Lock()
	torn := f.torn
	f.mu.Unlock()
	if torn != nil {
		return torn
	}
	if data = data[offset:]; length > 0 {
		data = data[:length]
	}
	_, err = io.Copy(w, bytes.NewReader(data))
	return err
}

func (f fakeBlobs) Fetch(ctx context.Context, of BlobScope, ref string, _ int32, progress func(FetchProgress) error) error {
	data, err := f.bytes(of, ref)
	if err != nil {
		return err
	}
	if err := progress(FetchProgress{State: FetchFetching, Total: uint64(len(data)), Source: "server"}); err != nil {
		return err
	}
	return f.block(ctx)
}

func (f fakeBlobs) Stat(_ context.Context, of BlobScope, ref string) (Blob, error) {
	data, err := f.bytes(of, ref)
	return Blob{Ref: ref, Size: uint64(len(data)), Locations: []string{"server"}}, err
}

func (f fakeBlobs) List(_ context.Context, of BlobScope, visit func(Blob) error) error {
	data, err := f.bytes(of, fakeRef)
	if err != nil {
		return nil
	}
	return visit(Blob{Ref: fakeRef, Size: uint64(len(data)), State: BlobPartial})
}

type fakePeers struct{}

func (fakePeers) List(context.Context) ([]Peer, error) {
	return []Peer{{Name: "server", Address: "127.0.0.1:2", Via: "static", Connected: true}}, nil
}

type fakePlugins struct{}

func (fakePlugins) List(context.Context) ([]Plugin, error) {
	return []Plugin{{Name: "disk", Kind: "blobstore", State: "ready", PID: 42, Version: "1"}}, nil
}
