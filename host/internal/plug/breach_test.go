package plug

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// liar is a blob store that answers what a test wants it to, however wrong.
type liar struct {
	blobstorev1.UnimplementedBlobStoreServiceServer
	frames []*blobstorev1.GetResponse
	pages  []*blobstorev1.ListResponse
	acks   []*blobstorev1.PutResponse
	stat   *blobstorev1.StatResponse
	del    *blobstorev1.DeleteResponse
}

func (l liar) Get(_ *blobstorev1.GetRequest, stream blobstorev1.BlobStoreService_GetServer) error {
	return sendAll(l.frames, stream.Send)
}

func (l liar) List(_ *blobstorev1.ListRequest, stream blobstorev1.BlobStoreService_ListServer) error {
	return sendAll(l.pages, stream.Send)
}

func (l liar) Put(stream blobstorev1.BlobStoreService_PutServer) error {
	return sendAll(l.acks, stream.Send)
}

func (l liar) Stat(context.Context, *blobstorev1.StatRequest) (*blobstorev1.StatResponse, error) {
	return l.stat, nil
}

func (l liar) Delete(context.Context, *blobstorev1.DeleteRequest) (*blobstorev1.DeleteResponse, error) {
	return l.del, nil
}

func sendAll[M any](messages []M, send func(M) error) error {
	for _, m := range messages {
		if err := send(m); err != nil {
			return err
		}
	}
	return nil
}

// facade returns the facade of a store that is served in this process.
func facade(t *testing.T, server blobstorev1.BlobStoreServiceServer) *BlobStore {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer(grpc.MaxRecvMsgSize(8 << 20))
	blobstorev1.RegisterBlobStoreServiceServer(s, server)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Stop()
		<-served
	})
	dir := t.TempDir()
	host, err := New(Options{RunDir: "/nowhere", DataDir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.SetInstances([]Instance{{Name: "liar", Kind: KindBlobStore, Path: "self"}}); err != nil {
		t.Fatal(err)
	}
	host.members["liar"].handle.publish(&live{conn: conn, gone: make(chan struct{})})
	return host.BlobStore("liar")
}

func frame(index uint32, offset, size uint64, last bool, data string) *blobstorev1.GetResponse {
	return &blobstorev1.GetResponse{Index: index, Offset: offset, ObjectSize: size, Last: last, Data: []byte(data)}
}

func TestGetRefusesWhatBreaksTheProtocol(t *testing.T) {
	for name, frames := range map[string][]*blobstorev1.GetResponse{
		"nothing":         {},
		"wrong index":     {frame(1, 0, 9, true, "12345")},
		"gap":             {frame(0, 1, 9, true, "12345")},
		"repetition":      {frame(0, 0, 9, false, "123"), frame(0, 0, 9, true, "45")},
		"too short":       {frame(0, 0, 9, true, "123")},
		"too long":        {frame(0, 0, 9, true, "123456")},
		"unfinished":      {frame(0, 0, 9, false, "12345")},
		"empty":           {frame(0, 0, 0, false, "")},
		"oversized frame": {frame(0, 0, 1<<30, false, string(make([]byte, maxFrame+1)))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := facade(t, liar{frames: frames}).Read(t.Context(), []byte("k"), 0, 5)
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("endless object", func(t *testing.T) {
		blobs := facade(t, endless{})
		if got, err := blobs.Read(t.Context(), []byte("k"), 0, 0); err == nil {
			t.Errorf("got %d bytes", len(got))
		}
	})
}

// endless is a store with an object that never ends.
type endless struct {
	blobstorev1.UnimplementedBlobStoreServiceServer
}

func (endless) Get(_ *blobstorev1.GetRequest, stream blobstorev1.BlobStoreService_GetServer) error {
	data := make([]byte, maxFrame)
	for offset := uint64(0); ; offset += maxFrame {
		if err := stream.Send(&blobstorev1.GetResponse{Offset: offset, Data: data}); err != nil {
			return err
		}
	}
}

func TestListRefusesWhatBreaksTheProtocol(t *testing.T) {
	page := func(keys ...string) *blobstorev1.ListResponse {
		p := &blobstorev1.ListResponse{}
		for _, key := range keys {
			p.Entries = append(p.Entries, &blobstorev1.Entry{Key: []byte(key)})
		}
		return p
	}
	for name, pages := range map[string][]*blobstorev1.ListResponse{
		"descending":     {page("pb", "pa")},
		"across pages":   {page("pb"), page("pa")},
		"twice":          {page("pa", "pa")},
		"not the prefix": {page("q")},
		"no key":         {page("")},
		"long key":       {page("p" + string(make([]byte, 128)))},
		"before start":   {page("p0")},
		"long page":      {{Entries: make([]*blobstorev1.Entry, 1001)}},
	} {
		t.Run(name, func(t *testing.T) {
			err := facade(t, liar{pages: pages}).List(t.Context(), []byte("p"), []byte("p5"), func(Entry) error { return nil })
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPutRefusesWhatBreaksTheProtocol(t *testing.T) {
	for name, acks := range map[string][]*blobstorev1.PutResponse{
		"nothing":    {},
		"no outcome": {{Seq: 1}},
		"wrong seq":  {{Seq: 2, Outcome: blobstorev1.Outcome_OUTCOME_STORED}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := facade(t, liar{acks: acks}).Put(t.Context(), []byte("k"), []byte("v")); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBatchesRefuseWhatBreaksTheProtocol(t *testing.T) {
	blobs := facade(t, liar{
		stat: &blobstorev1.StatResponse{Entries: []*blobstorev1.Entry{{Key: []byte("other")}}},
		del:  &blobstorev1.DeleteResponse{Faults: make([]*blobstorev1.Fault, 2)},
	})
	if _, err := blobs.Stat(t.Context(), []byte("k")); !errors.Is(err, ErrProtocol) {
		t.Errorf("stat: got %v", err)
	}
	if err := blobs.Delete(t.Context(), []byte("k")); !errors.Is(err, ErrProtocol) {
		t.Errorf("delete: got %v", err)
	}
}

func TestCodesBecomeSentinels(t *testing.T) {
	for code, want := range sentinels {
		if code == codes.OK {
			t.Error("OK is no error")
		}
		if err := fromCall(t.Context(), status.Error(code, "m")); !errors.Is(err, want) {
			t.Errorf("%v: got %v, want %v", code, err, want)
		}
		if err := fromFault(&blobstorev1.Fault{Code: int32(code), Message: "m"}); !errors.Is(err, want) {
			t.Errorf("fault %v: got %v, want %v", code, err, want)
		}
	}
	if err := fromFault(&blobstorev1.Fault{}); err != nil {
		t.Errorf("no fault: got %v", err)
	}
	if err := fromFault(&blobstorev1.Fault{Code: -7, Message: string(make([]byte, 1<<20))}); err == nil || len(err.Error()) > 4096 {
		t.Errorf("a strange fault: got an error of %d bytes", len(err.Error()))
	}
}
