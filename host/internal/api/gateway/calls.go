package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/api/node/v1/nodehttp"
)

const (
	jsonType = "application/json"
	lineType = "application/x-ndjson"
)

// newCalls is the generated gateway with our JSON, our errors, and no header that crosses over in either direction.
func newCalls(client nodev1.NodeServiceClient) (http.Handler, error) {
	nothing := func(string) (string, bool) { return "", false }
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, codec{}),
		// A name is one segment, whose escapes are all resolved, and nothing is resolved twice.
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithIncomingHeaderMatcher(nothing),
		runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.SetQueryParameterParser(&strict{}),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			refuse(w, r, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, s int) {
			if s == http.StatusMethodNotAllowed {
				refuse(w, r, noMethod(r))
				return
			}
			refuse(w, r, noPath(r))
		}),
	)
	// The client is one for all; it takes the connection from the context of the request.
	return mux, nodehttp.RegisterNodeServiceHandlerClient(context.Background(), mux, client)
}

// lastLine ends a stream that failed.
type lastLine struct {
	Error *failure `json:"error"`
}

// strict refuses parameters that a call does not have; the default takes no notice of them. What it has read it takes out of the
// values, so that what is left there belongs to a call that reads none.
type strict struct{ runtime.DefaultQueryParser }

func (p *strict) Parse(m proto.Message, values url.Values, filter *utilities.DoubleArray) error {
	for name, list := range values {
		head, _, _ := strings.Cut(name, ".")
		f := fieldOf(m.ProtoReflect().Descriptor(), head)
		if f == nil {
			return fmt.Errorf("there is no parameter %q here", name)
		}
		if wrong := refuseParameter(f, list[0]); wrong != "" {
			return fmt.Errorf("the parameter %s: %s", name, wrong)
		}
		if f.Enum() != nil {
			list[0] = longName(f.Enum(), list[0])
		}
	}
	if err := p.DefaultQueryParser.Parse(m, values, filter); err != nil {
		return err
	}
	clear(values)
	return nil
}

// codec is our JSON for the generated gateway.
type codec struct{}

// Marshal takes what the generated gateway has to say: a message, one message of a stream in an envelope, which is left
// off, or an error that ends a stream.
func (codec) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case proto.Message:
		return append(appendMessage(nil, v.ProtoReflect()), '\n'), nil
	case map[string]any:
		if m, ok := v["result"].(proto.Message); ok {
			return appendMessage(nil, m.ProtoReflect()), nil
		}
	case map[string]proto.Message:
		if st, ok := v["error"].(*spb.Status); ok {
			return json.Marshal(lastLine{failureOf(status.ErrorProto(st))})
		}
	}
	return nil, fmt.Errorf("gateway: no JSON of a %T", v)
}

// Unmarshal reads the body of a request, or a part of it.
func (codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		m, ok = alloc(v)
	}
	if !ok {
		return fmt.Errorf("gateway: no JSON for a %T", v)
	}
	return decodeMessage(data, m)
}

// alloc fills in the message that a pointer to a pointer wants to point to.
func alloc(v any) (proto.Message, bool) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Pointer {
		return nil, false
	}
	if p.Elem().IsNil() {
		p.Elem().Set(reflect.New(p.Elem().Type().Elem()))
	}
	m, ok := p.Elem().Interface().(proto.Message)
	return m, ok
}

// NewDecoder reads a body to its end; an empty one is io.EOF, which the generated gateway takes for an empty message.
func (c codec) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(data)) == 0 {
			return io.EOF
		}
		return c.Unmarshal(data, v)
	})
}

// NewEncoder implements runtime.Marshaler.
func (c codec) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := c.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}

// ContentType implements runtime.Marshaler.
func (codec) ContentType(any) string { return jsonType }

// StreamContentType implements runtime.StreamContentType.
func (codec) StreamContentType(any) string { return lineType }
