package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// putBytes is how much of a blob goes into one message.
const putBytes = 256 << 10

// putBlob stores the body, of whatever size and type.
func (g *Gateway) putBlob(w *paced, r *http.Request, p place) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream, err := g.client.PutBlob(ctx)
	if err != nil {
		return err
	}
	if err := sendBody(stream.Send, r.Body, p.database); err != nil {
		return err
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(append(appendMessage(nil, resp.ProtoReflect()), '\n'))
	return nil
}

// sendBody streams a body. That the daemon takes no more is no error here: the answer tells why.
func sendBody(send func(*nodev1.PutBlobRequest) error, body io.Reader, database string) error {
	for first := true; ; first = false {
		data := make([]byte, putBytes) // the one before may still be looked at
		n, err := io.ReadFull(body, data)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return invalid("the body cannot be read: " + err.Error())
		}
		m := &nodev1.PutBlobRequest{Data: data[:n]}
		if first {
			m.Database = database
		}
		if n > 0 || first {
			if err := send(m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}

// extent is a part of a blob; length 0 means to the end.
type extent struct{ offset, length uint64 }

func (g *Gateway) getBlob(w *paced, r *http.Request, p place) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	header := w.Header()
	if lists(r.Header.Get("If-None-Match"), p.ref) {
		return g.sameBlob(w, r, p)
	}
	if r.Method == http.MethodHead {
		return g.headBlob(w, r, p)
	}
	part, partial, err := g.part(r, p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream, err := g.client.GetBlob(ctx, &nodev1.GetBlobRequest{
		Database: p.database, Ref: p.ref, Offset: part.offset, Length: part.length,
	})
	if err != nil {
		return err
	}
	begin, err := stream.Recv()
	if err != nil {
		return err
	}
	// The first bytes come before the headers, so that a blob that cannot be read at all is answered with an error.
	first, err := stream.Recv()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	size := begin.GetSize()
	length := size - part.offset
	if part.length > 0 {
		length = min(length, part.length)
	}
	blobHeader(header, p.ref)
	header.Set("Content-Length", strconv.FormatUint(length, 10))
	if partial {
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.offset, part.offset+length-1, size))
		w.WriteHeader(http.StatusPartialContent)
	}
	if first == nil {
		return nil
	}
	_, _ = w.Write(first.GetData()) // that a client has left is noticed below
	copyBlob(w, stream.Recv)
	return nil
}

// copyBlob writes the bytes of a blob. When they end too soon, so does the answer, short of its length: the connection is
// cut, which no client takes for the whole blob.
func copyBlob(w io.Writer, recv func() (*nodev1.GetBlobResponse, error)) {
	for {
		m, err := recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // which is how a handler cuts the connection
		}
		if _, err := w.Write(m.GetData()); err != nil {
			return // the client has left
		}
	}
}

// sameBlob tells who has the blob already that it is the same, provided that the caller may know of it.
func (g *Gateway) sameBlob(w *paced, r *http.Request, p place) error {
	if _, err := g.client.StatBlob(r.Context(), &nodev1.StatBlobRequest{Database: p.database, Ref: p.ref}); err != nil {
		return err
	}
	blobHeader(w.Header(), p.ref)
	w.WriteHeader(http.StatusNotModified)
	return nil
}

func (g *Gateway) headBlob(w *paced, r *http.Request, p place) error {
	resp, err := g.client.StatBlob(r.Context(), &nodev1.StatBlobRequest{Database: p.database, Ref: p.ref})
	if err != nil {
		return err
	}
	blobHeader(w.Header(), p.ref)
	if size := resp.GetBlob().GetSize(); size > 0 {
		w.Header().Set("Content-Length", strconv.FormatUint(size, 10))
	}
	return nil
}

func blobHeader(header http.Header, ref string) {
	header.Set("Content-Type", rawType)
	header.Set("Accept-Ranges", "bytes")
	header.Set("ETag", tag(ref))
}

// part reads the header Range. More than one range, or a unit that is not bytes, is answered with everything, as is any
// range of a blob whose size is not known yet.
func (g *Gateway) part(r *http.Request, p place) (part extent, partial bool, err error) {
	spec, isBytes := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if condition := r.Header.Get("If-Range"); !isBytes || condition != "" && condition != tag(p.ref) {
		return extent{}, false, nil
	}
	resp, err := g.client.StatBlob(r.Context(), &nodev1.StatBlobRequest{Database: p.database, Ref: p.ref})
	size := resp.GetBlob().GetSize()
	if err != nil || size == 0 {
		return extent{}, false, err
	}
	part, ok := parseRange(spec, size)
	if ok && (part.offset >= size || part.length == 0) {
		return extent{}, false, &failure{Code: "OUT_OF_RANGE", Reason: "RANGE", Message: fmt.Sprintf("the blob has %d bytes", size)}
	}
	return part, ok, nil
}

// parseRange reads one range, "first-last", "first-" or "-suffix", of something that has so many bytes. The length is that
// of what there is of it, 0 for nothing.
func parseRange(spec string, size uint64) (part extent, ok bool) {
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return extent{}, false
	}
	if first == "" {
		n, err := strconv.ParseUint(last, 10, 63)
		n = min(n, size)
		return extent{offset: size - n, length: n}, err == nil
	}
	from, err := strconv.ParseUint(first, 10, 63)
	to := uint64(math.MaxInt64)
	if err == nil && last != "" {
		to, err = strconv.ParseUint(last, 10, 63)
	}
	if err != nil || to < from {
		return extent{}, false
	}
	if from >= size {
		return extent{offset: from}, true
	}
	return extent{offset: from, length: min(to-from+1, size-from)}, true
}
