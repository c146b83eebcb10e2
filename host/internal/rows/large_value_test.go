package rows

import (
	"bytes"
	"fmt"
	"testing"
)

// A batch of large values has the room that it takes from the beginning: one that grows takes three times as much while it is copied.
func TestLargeBatchesHaveRoomFromTheBeginning(t *testing.T) {
	for _, n := range []int{1, 7, 40} {
		d := newDevice(t, 1).create()
		ops := make([]Op, n)
		bytesIn := 0
		for i := range ops {
			ops[i] = Op{Collection: notes, Key: fmt.Sprintf("key/%d", i), Raw: true, Value: bytes.Repeat([]byte("v"), 100<<10)}
			bytesIn += len(ops[i].Key) + len(ops[i].Value)
		}
		begun := d.db.StartCommits([][]Op{ops}, nil)[0]
		if got, most := begun.with.t.b.Reserved(), 2*bytesIn+64<<10; got > most {
			t.Errorf("a batch of %d values, %d bytes, takes %d bytes of memory, want at most %d", n, bytesIn, got, most)
		}
		if _, err := begun.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}
