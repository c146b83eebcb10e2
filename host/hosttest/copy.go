package hosttest

import (
	"os"
	"path/filepath"
)

// Copy adds a host to the cluster that has a copy of the data directory of another and its identity, as somebody has it who
// carries all of it to a second machine. The other must not run; Start starts the copy.
func (c *Cluster) Copy(of *Host, name string) *Host {
	c.t.Helper()
	if of.Running() {
		c.t.Fatalf("%s runs", of.name)
	}
	h := newHost(c, name, len(c.order), filepath.Join(filepath.Dir(of.dir), name))
	h.identity = of.identity
	h.must(nil, os.MkdirAll(h.dir, 0o700))
	h.putBack(of.Snapshot())
	h.must(nil, h.disk.Move(of.dir, h.dir))
	c.hosts[name] = h
	c.order = append(c.order, name)
	return h
}

// members is how many members the hosts are: copies count once.
func (c *Cluster) members() int {
	identities := map[string]bool{}
	for _, h := range c.hosts {
		identities[h.identity] = true
	}
	return len(identities)
}
