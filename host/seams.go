package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
)

// Seams replaces what a daemon takes from the machine it runs on, so that a network of daemons can run inside one test;
// package hosttest does. Every field that is nil stands for the machine.
type Seams struct {
	// Disk holds the store; the data directory then holds the identity alone.
	Disk *kv.MemFS
	// Now is the wall clock that stamps commits. It moves no timer.
	Now func() time.Time
	// Uptime is how long the machine has been running. Without it and with Now it is the age of the process.
	Uptime func() time.Duration
	// AskTime asks a time server once by how much our clock is behind.
	AskTime func(ctx context.Context, server string) (offset time.Duration, err error)
	// NewDevice names a device that has no name yet.
	NewDevice func() id.Device
	// Clients accepts clients in place of the Unix socket. Whoever connects to it is the owner of the daemon.
	Clients net.Listener
	// Listen accepts peers at an address of the configuration, and Dial connects to one.
	Listen func(address string) (net.Listener, error)
	Dial   func(ctx context.Context, address string) (net.Conn, error)
	// Puller stands between peers and what answers their pulls, and sees, changes or makes up what they are told.
	Puller func(peer.Puller) peer.Puller
	// Calls are added to the options of the gRPC clients by which peers are asked.
	Calls []grpc.DialOption
	// Features are said in Hello, and used, in place of those of this version.
	Features []string
}

func (s Seams) withDefaults() Seams {
	if s.Uptime == nil {
		s.Uptime = defaultUptime(s.Now != nil)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.AskTime == nil {
		s.AskTime = askTimeServer(s.Now)
	}
	if s.NewDevice == nil {
		s.NewDevice = newDevice
	}
	if s.Listen == nil {
		s.Listen = func(address string) (net.Listener, error) { return net.Listen("tcp", address) }
	}
	if s.Puller == nil {
		s.Puller = func(p peer.Puller) peer.Puller { return p }
	}
	if s.Features == nil {
		s.Features = []string{featureCompare, featureContested, featureRefusals, peer.FeatureCallback, peer.FeatureHoldBack}
	}
	return s
}

// listenClients listens for local clients and says how they prove who they are.
func (h *Host) listenClients() (net.Listener, credentials.TransportCredentials, error) {
	if l := h.opts.Seams.Clients; l != nil {
		return l, withinProcess{h.identity.Owner}, nil
	}
	l, err := listenSocket(h.Socket())
	return l, h.identity.LocalCredentials(), err
}

// withinProcess takes everybody for the owner: nobody outside of the process can reach the listener.
type withinProcess struct{ owner func() id.Principal }

// ownerInfo is what withinProcess says of a connection.
type ownerInfo struct {
	credentials.CommonAuthInfo
	principal id.Principal
}

func (ownerInfo) AuthType() string { return "process" }

func (i ownerInfo) Principal() id.Principal { return i.principal }

func (c withinProcess) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	common := credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}
	return conn, ownerInfo{CommonAuthInfo: common, principal: c.owner()}, nil
}

func (withinProcess) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("credentials of the listening side")
}

func (withinProcess) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "process"}
}

func (c withinProcess) Clone() credentials.TransportCredentials { return c }

func (withinProcess) OverrideServerName(name string) error {
	return fmt.Errorf("no server name to override with %q", name)
}
