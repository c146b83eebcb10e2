package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/peer"
)

// Why a join fails is said in words of people, whatever came from below, and with the class that the exit code is made of.
func TestJoinErrorsAreForPeople(t *testing.T) {
	said := func(c codes.Code) error { return status.Error(c, "the reason") }
	for _, c := range []struct {
		name string
		from error
		want error
		text string
	}{
		{"broken connection", fmt.Errorf("peer b: %w: %w", peer.ErrUnreachable, said(codes.Unavailable)), api.ErrUnavailable, "at: the reason"},
		{"refused", fmt.Errorf("peer b: %w: %w", peer.ErrRefused, said(codes.Unauthenticated)), api.ErrDenied, "at: the reason"},
		{"denied", fmt.Errorf("peer b: %w: %w", peer.ErrDenied, said(codes.PermissionDenied)), api.ErrDenied, "at does not admit this device: the reason"},
		{"time is up", fmt.Errorf("peer b: %w: %w", context.DeadlineExceeded, said(codes.DeadlineExceeded)), api.ErrUnavailable, "at has not answered in time"},
		{"internal", fmt.Errorf("peer b: %w", said(codes.Internal)), api.ErrUnavailable, "at did not take the request: the reason"},
		{"invalid", fmt.Errorf("peer b: %w", said(codes.InvalidArgument)), api.ErrUnavailable, "at did not take the request: the reason"},
	} {
		err := joinError("at", c.from)
		if !errors.Is(err, c.want) || !strings.HasSuffix(err.Error(), c.text) || strings.Contains(err.Error(), "rpc error") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	local := errors.New("of this device")
	if err := joinError("at", local); !errors.Is(err, local) {
		t.Errorf("an error of this device's own: %v", err)
	}
}
