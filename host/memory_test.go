package host

import (
	"runtime/debug"
	"testing"
)

// What the collector and the cache are given leaves room for what neither of them has: the program, and the memory tables.
func TestMemoryIsShared(t *testing.T) {
	for _, mib := range []int{128, 256, 4096} {
		var c Config
		c.Memory.MaxMiB = mib
		all := int64(mib) << 20
		if left := all - collectorBytes(c) - cacheBytes(c); left != aside {
			t.Errorf("of %d MiB %d bytes are left for what else there is, want %d", mib, left, aside)
		}
		if collectorBytes(c) < all/8 {
			t.Errorf("of %d MiB the collector has %d bytes, and would be at work all the time", mib, collectorBytes(c))
		}
	}
}

// The collector is told its share, unless whoever started the process has told it another.
func TestBoundMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	var c Config
	c.Memory.MaxMiB = 3000
	t.Setenv("GOMEMLIMIT", "5GiB")
	BoundMemory(c)
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("the limit is %d although GOMEMLIMIT is set, want %d as before", got, before)
	}
	t.Setenv("GOMEMLIMIT", "")
	BoundMemory(c)
	if got := debug.SetMemoryLimit(-1); got != collectorBytes(c) {
		t.Errorf("the limit is %d, want %d", got, collectorBytes(c))
	}
}
