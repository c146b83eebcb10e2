package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/peer"
)

// stopGrace is how long calls in progress may take after the daemon was told to stop.
const stopGrace = 3 * time.Second

// maxSocketPath is the longest path of a Unix socket on every system we know of.
const maxSocketPath = 103

// socketFits refuses a data directory in which there cannot be a socket, before anything is made there.
func (h *Host) socketFits() error {
	if path := h.Socket(); h.opts.Seams.Clients == nil && len(path) > maxSocketPath {
		return fmt.Errorf("socket path %s has %d bytes, systems allow %d: choose a shorter data directory", path, len(path), maxSocketPath)
	}
	return nil
}

// listenSocket listens for local clients. Whoever holds the data directory's lock owns the socket, so one that is left
// over is nobody's.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	// The directory is private to the user, so nobody can connect between Listen and Chmod.
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for clients: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// listenPeers listens where the configuration says and notes the real addresses.
func (h *Host) listenPeers() ([]net.Listener, error) {
	var all []net.Listener
	var addresses []string
	for _, address := range h.opts.Config.Node.Listen {
		l, err := h.opts.Seams.Listen(address)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("listen for peers: %w", err)
		}
		all = append(all, peer.Guard(l))
		addresses = append(addresses, l.Addr().String())
	}
	h.mu.Lock()
	h.addresses = addresses
	h.mu.Unlock()
	return all, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}

// serveAll serves until ctx ends, then lets calls in progress finish for a moment and cuts the rest.
func serveAll(ctx context.Context, local, peers *grpc.Server, socket net.Listener, remote ...net.Listener) error {
	var wg sync.WaitGroup
	errs := make([]error, 1+len(remote))
	wg.Go(func() { errs[0] = serveOn(local, socket) })
	for i, l := range remote {
		wg.Go(func() { errs[i+1] = serveOn(peers, l) })
	}
	<-ctx.Done()
	for _, server := range []*grpc.Server{local, peers} {
		wg.Go(func() { stopServer(server) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// serveOn serves until the server is stopped, which it may be before this begins.
func serveOn(server *grpc.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

func stopServer(server *grpc.Server) {
	cut := time.AfterFunc(stopGrace, server.Stop)
	defer cut.Stop()
	server.GracefulStop()
}
