package hosttest

import (
	"fmt"
)

// Twin starts a daemon on a copy of everything that the host has, its keys included, at another address; the host runs on. The
// twin ends with the test, if it is not stopped before. It is none of the cluster's hosts: it need not agree with them, and what
// it alone has is lost with it.
func (h *Host) Twin() *Host {
	h.c.t.Helper()
	dir := h.c.t.TempDir()
	twin := newHost(h.c, h.name, h.number, dir)
	twin.identity, twin.ip = h.identity, fmt.Sprintf("10.0.1.%d", len(h.c.twins)+1)
	twin.putBack(h.Snapshot())
	h.must(nil, twin.disk.Move(h.dir, dir))
	h.c.twins = append(h.c.twins, twin)
	twin.Start()
	return twin
}
