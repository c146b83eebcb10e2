package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	// largeBody is from which size on a body counts as large.
	largeBody = 1 << 20
	// largeBodies is how many large bodies are in memory at a time. The others wait, so that callers cannot fill the memory
	// with what they are allowed one by one.
	largeBodies = 8
)

// readBody reads a body of a bearable size. done is to be called when the body is not needed any more.
func (g *Gateway) readBody(w *paced, r *http.Request, most int64) (body []byte, done func(), err error) {
	done = func() {}
	if r.ContentLength < 0 || r.ContentLength > largeBody {
		select {
		case g.large <- struct{}{}:
			done = func() { <-g.large }
		case <-r.Context().Done():
			return nil, nil, r.Context().Err()
		}
	}
	body, err = io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, most))
	if err != nil {
		done()
		return nil, nil, broken(r, err)
	}
	return body, done, nil
}

// broken says that a body could not be read.
func broken(r *http.Request, err error) error {
	var tooLarge *http.MaxBytesError
	if !errors.As(err, &tooLarge) {
		return invalid("the body cannot be read: " + err.Error())
	}
	size := fmt.Sprintf("more than %d bytes", tooLarge.Limit)
	if r.ContentLength > 0 {
		size = fmt.Sprintf("%d bytes, the limit is %d", r.ContentLength, tooLarge.Limit)
	}
	return &failure{
		Code: "RESOURCE_EXHAUSTED", Reason: "BODY_TOO_LARGE", status: http.StatusRequestEntityTooLarge,
		Message: "the body has " + size + "; values of more than 4 MiB belong into a blob, and many operations into several batches",
	}
}
