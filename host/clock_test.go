package host

import (
	"context"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// ntpServer answers like a time server whose clock is ahead by offset, with the stratum given (0 is a refusal), until the
// test ends. It returns its address.
func ntpServer(t *testing.T, offset time.Duration, stratum byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{}) // closed when the server no longer reads
	t.Cleanup(func() { conn.Close(); <-ended })
	go func() {
		defer close(ended)
		ask := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(ask)
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			stamp := func(at time.Time) uint64 {
				const from1900to1970 = 2_208_988_800 // seconds
				return uint64(at.Unix()+from1900to1970)<<32 | uint64(at.Nanosecond())<<32/1e9
			}
			now := stamp(time.Now().Add(offset))
			answer := make([]byte, 48)
			answer[0], answer[1], answer[3] = 4<<3|4, stratum, 0xec
			copy(answer[12:], "TEST")
			binary.BigEndian.PutUint64(answer[16:], now)
			copy(answer[24:32], ask[40:48])
			binary.BigEndian.PutUint64(answer[32:], now)
			binary.BigEndian.PutUint64(answer[40:], now)
			if _, err := conn.WriteTo(answer, from); err != nil {
				return
			}
		}
	}()
	return conn.LocalAddr().String()
}

func TestAskTimeServer(t *testing.T) {
	ask := askTimeServer(time.Now)
	for _, offset := range []time.Duration{time.Hour, -time.Hour, 0} {
		got, err := ask(t.Context(), ntpServer(t, offset, 2))
		if err != nil || (got-offset).Abs() > time.Minute {
			t.Errorf("a server that is %v ahead is taken to be %v ahead, %v", offset, got, err)
		}
	}
	if _, err := ask(t.Context(), ntpServer(t, time.Hour, 0)); err == nil {
		t.Error("a server that says it does not know the time is believed")
	}
}

// Whoever stops the daemon does not wait for a time server that never answers.
func TestAskTimeServerIsCancelled(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan error, 1) // what asking came to
	go func() {
		_, err := askTimeServer(time.Now)(ctx, silent.LocalAddr().String())
		heard <- err
	}()
	if _, _, err := silent.ReadFrom(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-heard; err == nil {
		t.Error("a server that never answered was believed")
	}
}

func TestMachineUptimeGrows(t *testing.T) {
	before := machineUptime()
	if after := machineUptime(); before <= 0 || after < before {
		t.Errorf("uptime %v, then %v", before, after)
	}
}
