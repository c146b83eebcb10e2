package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// logBlock is where logs are cut into blocks: whatever is damaged, the next one can be read again.
const logBlock = 32 << 10

// logNumber returns the number of a log by the name of its file.
func logNumber(name string) (uint64, bool) {
	digits, is := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, is && err == nil && n <= math.MaxUint32
}

func tableName(number uint64) string { return fmt.Sprintf("%06d.sst", number) }

// logContent is what can be read of a log.
type logContent struct {
	entries  []write
	removals []removal
	// from and to are the sequence numbers that there are: from <= n < to; both are 0 if there is nothing.
	from, to pebble.SeqNum
	// holes are sequence numbers that are missing behind something that cannot be read.
	holes []hole
	// tables entered the store by this log, with the sequence numbers that they have.
	tables map[string]pebble.SeqNum

	broken bool
}

// hole is a range of sequence numbers: from <= n < to.
type hole struct{ from, to pebble.SeqNum }

// readLogFile reads a log past what is damaged in it. The end of a log that is cut short by a crash looks the same as one that
// was damaged later.
func readLogFile(from vfs.FS, path string, number uint64) (c logContent, err error) {
	f, err := from.Open(path)
	if err != nil {
		return c, err
	}
	data, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return c, err
	}
	c.tables = map[string]pebble.SeqNum{}
	for start := 0; start < len(data); {
		at := start
		c.broken = start > 0
		r := newRecords(record.NewReader, bytes.NewReader(data[start:]), number)
		for {
			one, err := r.Next()
			if err != nil {
				break
			}
			batch, err := io.ReadAll(one)
			if err != nil || !c.add(batch) {
				break
			}
			at = start + int(r.Offset())
		}
		start = (at/logBlock + 1) * logBlock
	}
	return c, nil
}

// newRecords calls record.NewReader, whose type of numbers has no name out here.
func newRecords[N ~uint64](open func(io.Reader, N) *record.Reader, from io.Reader, number uint64) *record.Reader {
	return open(from, N(number))
}

// add adds the writes of a batch, and reports whether it can be read.
func (c *logContent) add(batch []byte) bool {
	h, ok := batchrepr.ReadHeader(batch)
	if !ok {
		return false
	}
	if h.SeqNum < c.to {
		return true // it was read already
	}
	entries, removals, tables := len(c.entries), len(c.removals), map[string]pebble.SeqNum{}
	seq, reader := h.SeqNum, batchrepr.Read(batch)
	for {
		kind, key, value, more, err := reader.Next()
		if err != nil {
			c.entries, c.removals = c.entries[:entries], c.removals[:removals]
			return false
		}
		if !more {
			break
		}
		switch kind {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
			c.entries = append(c.entries, write{key: key, value: value, seq: seq})
		case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
			c.entries = append(c.entries, write{key: key, seq: seq, deleted: true})
		case pebble.InternalKeyKindRangeDelete:
			c.removals = append(c.removals, removal{lo: key, hi: value, seq: seq})
		case pebble.InternalKeyKindIngestSST:
			if n, size := binary.Uvarint(key); size > 0 {
				tables[tableName(n)] = seq
			}
		case pebble.InternalKeyKindLogData:
			continue // takes no number
		}
		seq++
	}
	if c.to == 0 {
		c.from = h.SeqNum
	} else if c.broken && h.SeqNum > c.to {
		c.holes = append(c.holes, hole{c.to, h.SeqNum})
	}
	c.to, c.broken = seq, false
	maps.Copy(c.tables, tables)
	return true
}
