package peer

import (
	"errors"
	"testing"
	"time"

	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

func TestDecodeTime(t *testing.T) {
	good := func() *peerv1.GetTimeResponse {
		return &peerv1.GetTimeResponse{Received: 1_000_000, Replied: 1_000_001, Server: 999_999, Hops: 2, Reboots: 65_535}
	}
	tests := map[string]struct {
		change func(*peerv1.GetTimeResponse)
		valid  bool
	}{
		"as it is":                   {func(*peerv1.GetTimeResponse) {}, true},
		"without a server":           {func(m *peerv1.GetTimeResponse) { m.Server = 0 }, true},
		"the last moment":            {func(m *peerv1.GetTimeResponse) { m.Received, m.Replied = 1<<52-1, 1<<52-1 }, true},
		"after it":                   {func(m *peerv1.GetTimeResponse) { m.Replied = 1 << 52 }, false},
		"before 1970":                {func(m *peerv1.GetTimeResponse) { m.Received = -1 }, false},
		"a server before 1970":       {func(m *peerv1.GetTimeResponse) { m.Server = -1 << 63 }, false},
		"answered before it came":    {func(m *peerv1.GetTimeResponse) { m.Replied = 999_999 }, false},
		"more hops than there are":   {func(m *peerv1.GetTimeResponse) { m.Hops = 65_536 }, false},
		"more restarts than counted": {func(m *peerv1.GetTimeResponse) { m.Reboots = 1 << 31 }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := good()
			test.change(m)
			got, err := decodeTime(m)
			if test.valid {
				if err != nil || got.Received.UnixMicro() != m.Received || got.Server.IsZero() != (m.Server == 0) || got.Reboots != 65_535 {
					t.Errorf("%v became %+v, %v", m, got, err)
				}
			} else if !errors.Is(err, ErrProtocol) || got != (Time{}) {
				t.Errorf("%v became %+v, %v; want it refused", m, got, err)
			}
		})
	}
	if got, _ := decodeTime(good()); got.Replied.Sub(got.Received) != time.Microsecond {
		t.Errorf("the answer took %v, want 1µs", got.Replied.Sub(got.Received))
	}
}
