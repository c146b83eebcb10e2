package client

import (
	"context"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A message with a text that is not UTF-8 cannot be sent, and the error of the transport does not say which. What is here
// looks for the text once that has happened, so that calls which are in order pay nothing.

// warnings hands what an answer warns of to whoever wants to know.
func (o Options) warnings(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if answer, ok := reply.(interface{ GetWarnings() []string }); ok && err == nil && o.Warned != nil {
		for _, text := range answer.GetWarnings() {
			o.Warned(text)
		}
	}
	return err
}

func (c *Client) checkUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return c.ended(ctx, explain(invoke(ctx, method, req, reply, cc, opts...), req))
}

func (c *Client) checkStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, c.ended(ctx, err)
	}
	return checkedStream{stream, ctx, c}, nil
}

// checkedStream is a stream of a client, with the context that its caller gave.
type checkedStream struct {
	grpc.ClientStream
	ctx context.Context
	c   *Client
}

func (s checkedStream) SendMsg(m any) error {
	return s.c.ended(s.ctx, explain(s.ClientStream.SendMsg(m), m))
}

func (s checkedStream) RecvMsg(m any) error { return s.c.ended(s.ctx, s.ClientStream.RecvMsg(m)) }

// explain names the text that kept a request from being sent.
func explain(err error, req any) error {
	if status.Code(err) != codes.Internal {
		return err
	}
	if m, ok := req.(proto.Message); ok {
		if field, text := notUTF8(m.ProtoReflect()); field != "" {
			return &Error{Message: strings.ReplaceAll(field, "_", " ") + " " + strconv.Quote(text) + " is not UTF-8", kind: ErrInvalid}
		}
	}
	return err
}

// notUTF8 returns the first field of a message, or of those within, with a text that is not UTF-8.
func notUTF8(m protoreflect.Message) (field, text string) {
	check := func(fd protoreflect.FieldDescriptor, v protoreflect.Value) {
		switch {
		case fd.Kind() == protoreflect.StringKind && !utf8.ValidString(v.String()):
			field, text = string(fd.Name()), v.String()
		case fd.Kind() == protoreflect.MessageKind:
			field, text = notUTF8(v.Message())
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
		case fd.IsList():
			for i := 0; i < v.List().Len() && field == ""; i++ {
				check(fd, v.List().Get(i))
			}
		default:
			check(fd, v)
		}
		return field == ""
	})
	return field, text
}

// plainly takes the wrapping of the transport off the reason why nobody answers.
func plainly(text string) string {
	for {
		rest := text
		for _, prefix := range []string{
			"last connection error: ", "connection error: desc = ", "transport: Error while dialing: ", "transport: ", "name resolver error: ",
		} {
			rest = strings.TrimPrefix(rest, prefix)
		}
		if unquoted, err := strconv.Unquote(rest); err == nil {
			rest = unquoted
		}
		if rest == text {
			return text
		}
		text = rest
	}
}

// silent tells a daemon that accepts and says nothing from one that is not there, by the reason of the transport. The kernel
// accepts in place of a process that is stopped, until nobody else can be kept waiting.
func silent(why string) bool {
	unanswered := strings.HasPrefix(why, "error reading server preface: ") || strings.HasPrefix(why, "authentication handshake failed: ")
	for _, late := range []string{"use of closed network connection", "i/o timeout", "deadline exceeded"} {
		if unanswered && strings.HasSuffix(why, late) {
			return true
		}
	}
	return strings.HasSuffix(why, "connect: resource temporarily unavailable")
}

// silence says of a daemon that it is silent.
func (c *Client) silence() string {
	if path, isSocket := strings.CutPrefix(c.address, "unix://"); isSocket {
		return "a daemon holds the socket " + path + " but does not answer; is it stopped or overloaded?"
	}
	return "a daemon accepts connections at " + c.address + " but does not answer; is it stopped or overloaded?"
}
