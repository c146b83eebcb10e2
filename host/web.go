package host

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"google.golang.org/grpc/credentials"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/api/gateway"
	"github.com/syncbase/syncbase/host/internal/identity"
)

// HTTPSocket is where the owner is served over HTTP.
func (h *Host) HTTPSocket() string {
	return filepath.Join(h.opts.Config.Node.DataDir, "syncbase-http.sock")
}

// HTTPToken is the file with the token for clients over HTTP that come through the loopback interface.
func (h *Host) HTTPToken() string { return filepath.Join(h.opts.Config.Node.DataDir, "http.token") }

// HTTPAddresses are where clients are served over HTTP, with real ports, once the host is ready.
func (h *Host) HTTPAddresses() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.webAddresses
}

func (h *Host) newGateway() (err error) {
	config := h.opts.Config.Node.HTTP
	h.web, err = gateway.New(gateway.Options{
		Services: h.api.Register,
		Server:   api.ServerOptions(),
		Origins:  config.Origins,
		Hosts:    config.Hosts,
		Grace:    stopGrace,
		Log:      h.log.Named("http"),
	})
	return err
}

// openDoors listens for clients over HTTP where the configuration says.
func (h *Host) openDoors() ([]gateway.Door, error) {
	var doors []gateway.Door
	var addresses []string
	add := func(scheme string, door gateway.Door) {
		doors = append(doors, door)
		addresses = append(addresses, scheme+door.Listener.Addr().String())
	}
	for _, open := range []func(func(string, gateway.Door)) error{h.openSocketDoor, h.openTLSDoors, h.openTokenDoors} {
		if err := open(add); err != nil {
			closeDoors(doors)
			return nil, fmt.Errorf("listen for clients over HTTP: %w", err)
		}
	}
	h.mu.Lock()
	h.webAddresses = addresses
	h.mu.Unlock()
	return doors, nil
}

func closeDoors(doors []gateway.Door) {
	for _, door := range doors {
		_ = door.Listener.Close()
	}
}

// openSocketDoor lets in whom the socket beside it lets in, on the same proof. A directory whose path leaves no room for
// the longer name does without.
func (h *Host) openSocketDoor(add func(string, gateway.Door)) error {
	path := h.HTTPSocket()
	if !h.opts.Config.Node.HTTP.Socket || h.opts.Seams.Clients != nil {
		return nil
	}
	if len(path) > maxSocketPath {
		h.log.Warn("no HTTP at a socket: its path is longer than systems allow; choose a shorter data directory", "path", path)
		return nil
	}
	l, err := listenSocket(path)
	if err != nil {
		return err
	}
	local := h.identity.LocalCredentials()
	add("unix:", gateway.Door{Listener: l, Prove: func(_ *http.Request, conn net.Conn) (credentials.AuthInfo, error) {
		_, proof, err := local.ServerHandshake(conn)
		return proof, err
	}})
	return nil
}

// openTLSDoors lets in whoever has a certificate that this device trusts.
func (h *Host) openTLSDoors(add func(string, gateway.Door)) error {
	config := h.identity.WebTLS(func(r identity.Refusal) {
		h.log.Debug("refused a client over HTTP", "reason", r.Error())
	})
	for _, address := range h.opts.Config.Node.HTTP.Listen {
		l, err := h.opts.Seams.Listen(address)
		if err != nil {
			return err
		}
		add("https://", gateway.Door{Listener: l, TLS: config, Prove: func(r *http.Request, _ net.Conn) (credentials.AuthInfo, error) {
			if r.TLS == nil {
				return nil, identity.ErrAnonymous
			}
			return h.identity.WebProof(*r.TLS)
		}})
	}
	return nil
}

// openTokenDoors lets in whoever can read a file that is private to the owner.
func (h *Host) openTokenDoors(add func(string, gateway.Door)) error {
	addresses := h.opts.Config.Node.HTTP.Local
	if len(addresses) == 0 {
		return nil
	}
	token, err := gateway.OpenToken(h.HTTPToken())
	if err != nil {
		return err
	}
	for _, address := range addresses {
		l, err := h.opts.Seams.Listen(address)
		if err != nil {
			return err
		}
		add("http://", gateway.Door{Listener: l, Prove: token.Prove(h.identity.OwnerProof)})
	}
	return nil
}
