package blobstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// keeper is a store that reads by one of several ways and keeps what it was given.
type keeper struct {
	read    func(io.Reader, int64) ([]byte, error)
	objects map[Key][]byte
}

func readAll(r io.Reader, _ int64) ([]byte, error) { return io.ReadAll(r) }

// readExactly never asks for io.EOF, so it has to be told of a wrong digest with the last bytes.
func readExactly(r io.Reader, size int64) ([]byte, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(r, data)
	return data, err
}

func readByWriterTo(r io.Reader, _ int64) ([]byte, error) {
	var out bytes.Buffer
	_, err := r.(io.WriterTo).WriteTo(&out)
	return out.Bytes(), err
}

func readNothing(io.Reader, int64) ([]byte, error) { return nil, ErrFull }

func (k *keeper) Put(_ context.Context, o Object, r io.Reader) (Outcome, error) {
	if _, there := k.objects[o.Key]; there {
		return Exists, nil
	}
	data, err := k.read(r, o.Size)
	if err != nil {
		return 0, err
	}
	k.objects[o.Key] = data
	return Stored, nil
}

func (k *keeper) Open(context.Context, Key, int64, int64) (io.ReadCloser, int64, error) {
	return nil, 0, ErrNotFound
}
func (k *keeper) Stat(context.Context, Key) (Info, error) { return Info{}, ErrNotFound }
func (k *keeper) List(context.Context, Key, Key) iter.Seq2[Info, error] {
	return func(func(Info, error) bool) {}
}
func (k *keeper) Delete(context.Context, Key) error    { return nil }
func (k *keeper) Usage(context.Context) (Usage, error) { return Usage{}, nil }

// frames is a stream that holds its frames already.
type frames struct{ left []*blobstorev1.PutRequest }

func (f *frames) Recv() (*blobstorev1.PutRequest, error) {
	if len(f.left) == 0 {
		return nil, io.EOF
	}
	next := f.left[0]
	f.left = f.left[1:]
	return next, nil
}

// serveAll does what the Put of the server does with a stream.
func serveAll(k *keeper, in []*blobstorev1.PutRequest) (answers []*blobstorev1.PutResponse, err error) {
	source := &frames{left: in}
	live := plugin.Live{Instance: Store(k), Setup: plugin.Setup{FrameBytes: plugin.MinFrameBytes}}
	for seq := uint64(1); ; seq++ {
		first, err := source.Recv()
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		answer, err := putOne(context.Background(), live, source, first, seq)
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

func framesOf(seq uint64, key string, data, sum []byte) []*blobstorev1.PutRequest {
	header := &blobstorev1.PutHeader{Key: []byte(key), Size: uint64(len(data)), Sha256: sum}
	var out []*blobstorev1.PutRequest
	for offset := 0; offset == 0 || offset < len(data); offset += plugin.MinFrameBytes {
		end := min(offset+plugin.MinFrameBytes, len(data))
		out = append(out, &blobstorev1.PutRequest{
			Seq: seq, Header: header, Offset: uint64(offset), Last: end == len(data), Data: data[offset:end],
		})
		header = nil
	}
	return out
}

func TestReadersLearnOfTheDigest(t *testing.T) {
	wrong := bytes.Repeat([]byte{1}, sha256.Size)
	for name, read := range map[string]func(io.Reader, int64) ([]byte, error){
		"to the end": readAll, "exactly": readExactly, "writer to": readByWriterTo,
	} {
		for _, size := range []int{0, 1, plugin.MinFrameBytes, plugin.MinFrameBytes + 1, 5 * plugin.MinFrameBytes} {
			data := bytes.Repeat([]byte("x"), size)
			right := sha256.Sum256(data)
			k := &keeper{read: read, objects: map[Key][]byte{}}
			in := append(framesOf(1, "wrong", data, wrong), framesOf(2, "right", data, right[:])...)
			answers, err := serveAll(k, in)
			if err != nil || len(answers) != 2 {
				t.Fatalf("%s, %d bytes: %d answers, %v", name, size, len(answers), err)
			}
			if got := codes.Code(answers[0].GetFault().GetCode()); got != codes.DataLoss {
				t.Errorf("%s, %d bytes: wrong digest answered with %v", name, size, got)
			}
			if _, stored := k.objects["wrong"]; stored || !bytes.Equal(k.objects["right"], data) {
				t.Errorf("%s, %d bytes: stored %d objects", name, size, len(k.objects))
			}
		}
	}
}

func TestStoresThatDoNotRead(t *testing.T) {
	data := make([]byte, 3*plugin.MinFrameBytes)
	in := append(framesOf(1, "a", data, nil), framesOf(2, "b", data, nil)...)
	answers, err := serveAll(&keeper{read: readNothing}, in)
	if err != nil || len(answers) != 2 || FromFault(answers[1].GetFault()) == nil {
		t.Errorf("full store: %v, %v", answers, err)
	}
	liar := &keeper{objects: map[Key][]byte{}, read: func(io.Reader, int64) ([]byte, error) { return nil, nil }}
	answers, err = serveAll(liar, framesOf(1, "a", data, nil))
	if err != nil || codes.Code(answers[0].GetFault().GetCode()) != codes.Internal {
		t.Errorf("store that claims success unread: %v, %v", answers, err)
	}
}

// delimited is a list of messages as a fuzzer can make it.
func delimited[M proto.Message](messages ...M) []byte {
	var out []byte
	for _, m := range messages {
		data, err := proto.Marshal(m)
		if err != nil {
			panic(err)
		}
		out = protowire.AppendBytes(out, data)
	}
	return out
}

// undelimited reads as many messages as there are.
func undelimited[M proto.Message](data []byte, empty func() M) []M {
	var out []M
	for len(data) > 0 {
		piece, n := protowire.ConsumeBytes(data)
		m := empty()
		if n < 0 || proto.Unmarshal(piece, m) != nil {
			break
		}
		out, data = append(out, m), data[n:]
	}
	return out
}

// FuzzPut wants that whatever frames come, only whole objects with the right digest are stored.
func FuzzPut(f *testing.F) {
	data := bytes.Repeat([]byte("abc"), 400) // two frames
	sum := sha256.Sum256(data)
	f.Add(delimited(append(framesOf(1, "k", data, sum[:]), framesOf(2, "l", nil, nil)...)...))
	f.Add(delimited(framesOf(1, "", data, sum[:5])...))
	f.Add(delimited(framesOf(7, "k", data, nil)[1:]...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		in := undelimited(raw, func() *blobstorev1.PutRequest { return &blobstorev1.PutRequest{} })
		announced := map[string]bool{} // every key with a size, and with its digest if there is one
		for _, frame := range in {
			h := frame.GetHeader()
			announced[fmt.Sprintf("%x/%d/%x", h.GetKey(), h.GetSize(), h.GetSha256())] = true
		}
		k := &keeper{read: readAll, objects: map[Key][]byte{}}
		answers, err := serveAll(k, in)
		if err != nil && status.Code(err) != codes.InvalidArgument {
			t.Errorf("ended with %v", err)
		}
		stored := 0
		for _, a := range answers {
			if a.GetOutcome() == blobstorev1.Outcome_OUTCOME_STORED {
				stored++
			}
		}
		if stored != len(k.objects) {
			t.Errorf("%d answers say stored, %d objects are", stored, len(k.objects))
		}
		for key, data := range k.objects {
			if len(key) == 0 || len(key) > MaxKeyBytes {
				t.Errorf("stored under a key of %d bytes", len(key))
			}
			sum := sha256.Sum256(data)
			name := fmt.Sprintf("%x/%d/", key, len(data))
			if !announced[name] && !announced[name+fmt.Sprintf("%x", sum)] {
				t.Errorf("stored %d bytes under %x, which nobody announced with this size and digest", len(data), key)
			}
		}
	})
}

// getFrames is a Get stream that holds its frames already.
type getFrames struct {
	blobstorev1.BlobStoreService_GetClient
	left []*blobstorev1.GetResponse
}

func (g *getFrames) Recv() (*blobstorev1.GetResponse, error) {
	if len(g.left) == 0 {
		return nil, io.EOF
	}
	next := g.left[0]
	g.left = g.left[1:]
	return next, nil
}

// FuzzDownload wants that a reader gives exactly the range or an error, whatever frames come.
func FuzzDownload(f *testing.F) {
	f.Add(delimited(
		&blobstorev1.GetResponse{ObjectSize: 5, Data: []byte("ab")},
		&blobstorev1.GetResponse{Offset: 2, Last: true, Data: []byte("cde")},
	), uint64(5))
	f.Add(delimited(&blobstorev1.GetResponse{Fault: &blobstorev1.Fault{Code: 5}}), uint64(1))
	f.Fuzz(func(t *testing.T, raw []byte, end uint64) {
		in := undelimited(raw, func() *blobstorev1.GetResponse { return &blobstorev1.GetResponse{} })
		var want []byte
		for _, frame := range in {
			want = append(want, frame.GetData()...)
		}
		d := &download{stream: &getFrames{left: in}, cancel: func() {}, end: end}
		got, err := io.ReadAll(d)
		if err == nil && (uint64(len(got)) != end || !bytes.Equal(got, want[:len(got)])) {
			t.Errorf("read %d bytes of a range of %d without an error", len(got), end)
		}
	})
}

func TestErrorsSurviveTheWire(t *testing.T) {
	for _, sentinel := range []error{ErrNotFound, ErrFull, ErrCorrupt, ErrTransient, ErrRange, ErrDenied, ErrInvalid, ErrUnsupported, context.Canceled} {
		err := fmt.Errorf("deep down: %w", sentinel)
		if back := FromFault(faultOf(err)); !errors.Is(back, sentinel) || back.Error() != err.Error() {
			t.Errorf("fault of %v came back as %v", err, back)
		}
		if back := FromStatus(statusOf(err)); !errors.Is(back, sentinel) {
			t.Errorf("status of %v came back as %v", err, back)
		}
	}
	if got := Code(errors.New("unheard of")); got != codes.Internal {
		t.Errorf("unknown error: %v", got)
	}
	if FromFault(nil) != nil || FromFault(&blobstorev1.Fault{}) != nil || FromStatus(nil) != nil {
		t.Error("nothing became an error")
	}
	if FromFault(&blobstorev1.Fault{Code: -1}) == nil || FromFault(&blobstorev1.Fault{Code: 99}) == nil {
		t.Error("an odd code became success")
	}
}
