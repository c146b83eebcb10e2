package gateway

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
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

// understood refuses bodies that would be kept, or read, as something else than what was sent: nothing here undoes a coding, and JSON
// is UTF-8. Bytes are bytes, whatever else is said of them.
func understood(w http.ResponseWriter, r *http.Request, p place) error {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Content-Encoding"), ","), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "identity") {
			w.Header().Set("Accept-Encoding", "identity")
			return unsupported("CONTENT_ENCODING", fmt.Sprintf("a body with the encoding %.40q; send it as it is", coding))
		}
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err == nil && charset != "" && kind != rawType && p.face != faceBlobs &&
		!strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii") {
		return unsupported("CONTENT_TYPE", fmt.Sprintf("text in %.40q; JSON is sent in UTF-8", charset))
	}
	if raw, notJSON := bodyIsRaw(r.Header.Get("Content-Type")); p.face == faceNone && r.ContentLength != 0 && (raw || notJSON != nil) {
		return unsupported("CONTENT_TYPE", fmt.Sprintf("a body of type %.40q; what is asked for here is said in %s", kind, jsonType))
	}
	return nil
}

func unsupported(reason, message string) *failure {
	return &failure{Code: "INVALID_ARGUMENT", Reason: reason, Message: message, status: http.StatusUnsupportedMediaType}
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
	return bodyTooLarge(size)
}

func bodyTooLarge(size string) *failure {
	return &failure{
		Code: "RESOURCE_EXHAUSTED", Reason: "BODY_TOO_LARGE", status: http.StatusRequestEntityTooLarge,
		Message: "the body has " + size + "; values of more than 4 MiB belong into a blob, and many operations into several batches",
	}
}
