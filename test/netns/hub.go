package netns

import (
	"fmt"
	"strconv"
	"testing"
)

// Hub is a switch with a cable to each machine. The test's own process is at the hub, where it can reach them all and
// stand between them.
type Hub struct {
	// Address of the test's own process.
	Address  string
	Machines []*Machine

	self *Machine
}

const hubAddress = "10.77.0.100"

// NewHub makes a hub with so many machines for the length of the test, which must be Inside. They have IPv4 only, so that
// a refused address is all that leads to a machine.
func NewHub(t *testing.T, machines int) *Hub {
	t.Helper()
	h := &Hub{Address: hubAddress, self: &Machine{Link: "hub"}}
	h.self.mustRun(t, "ip", "link", "add", h.self.Link, "type", "bridge")
	t.Cleanup(func() { h.self.mustRun(t, "ip", "link", "delete", h.self.Link) })
	h.self.mustRun(t, "ip", "link", "set", h.self.Link, "addrgenmode", "none")
	h.self.mustRun(t, "ip", "address", "add", h.Address+"/24", "dev", h.self.Link)
	h.self.mustRun(t, "ip", "link", "set", "lo", "up")
	h.self.mustRun(t, "ip", "link", "set", h.self.Link, "up")
	for i := range machines {
		h.plugIn(t, i+1)
	}
	return h
}

// plugIn adds a machine.
func (h *Hub) plugIn(t *testing.T, number int) {
	t.Helper()
	pid := strconv.Itoa(holdNamespace(t))
	m := &Machine{
		Link: "cable", Address: fmt.Sprintf("10.77.0.%d", number), socket: fmt.Sprintf("socket-%d", number),
		enter: []string{"nsenter", "--target", pid, "--net", "--"},
	}
	h.self.mustRun(t, "ip", "link", "add", m.socket, "type", "veth", "peer", "name", m.Link, "netns", pid)
	t.Cleanup(func() { h.self.mustRun(t, "ip", "link", "delete", m.socket) })
	h.self.mustRun(t, "ip", "link", "set", m.socket, "master", h.self.Link)
	h.Mend(t, m)
	m.mustRun(t, "ip", "link", "set", m.Link, "addrgenmode", "none")
	m.mustRun(t, "ip", "address", "add", m.Address+"/24", "dev", m.Link)
	m.mustRun(t, "ip", "link", "set", "lo", "up")
	m.mustRun(t, "ip", "link", "set", m.Link, "up")
	h.Machines = append(h.Machines, m)
}

// Cut takes down the hub's end of a cable: the machine is as it was, but nothing comes or goes. Mend puts it up again.
func (h *Hub) Cut(t *testing.T, m *Machine) {
	t.Helper()
	h.self.mustRun(t, "ip", "link", "set", m.socket, "down")
}

// Mend is the opposite of Cut.
func (h *Hub) Mend(t *testing.T, m *Machine) {
	t.Helper()
	h.self.mustRun(t, "ip", "link", "set", m.socket, "up")
}

// Mute loses what the machine sends to an address, while it still hears what comes from there. Unmute ends it.
func (m *Machine) Mute(t *testing.T, address string) {
	t.Helper()
	m.mustRun(t, "ip", "route", "add", "blackhole", address+"/32")
}

// Unmute is the opposite of Mute.
func (m *Machine) Unmute(t *testing.T, address string) {
	t.Helper()
	m.mustRun(t, "ip", "route", "delete", "blackhole", address+"/32")
}
