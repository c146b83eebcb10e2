package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func sampleRecords() []wire.Record {
	return []wire.Record{
		{Version: version('a', 7), Key: "k", Value: []byte(`{"n":1}`), Type: "note"},
		{Version: version('a', 8), Key: "", Value: []byte(`{}`), Parents: []id.Version{version('a', 7)}},
		{Version: version('a', 9), Key: "k", Kind: wire.Delete, Parents: []id.Version{version('b', 300)}, Seen: id.Vector{writer('b'): 300}},
		{Version: version('a', 10), Key: "k", Kind: wire.Link, Parents: []id.Version{version('b', 300), version('a', 9)}, Seen: id.Vector{writer('b'): 300, writer('c'): 1}},
		{Version: version('a', 11), Key: "ключ", Raw: true, Value: []byte{0, 1, 2}},
		{
			Version: version('a', 12), Key: "k", Kind: wire.Delete, Round: 3,
			Parents: []id.Version{version('b', 300), version('c', 1)}, Seen: id.Vector{writer('b'): 300, writer('c'): 1},
			Beside: []id.Version{version('a', 7), version('b', 299)},
		},
	}
}

func sampleCommit() wire.Commit {
	c := wire.Commit{Writer: writer('a'), First: 7, Count: 6, Time: 1 << 60}
	for i, r := range sampleRecords() {
		coll := rowsOf("c")
		if i == 2 {
			coll = id.Collection{Kind: id.Syncgroup, Name: coll.Name}
		}
		c.Records = append(c.Records, wire.Entry{Collection: coll, Record: r})
	}
	return c
}

func checkRefusal(t *testing.T, err error) {
	if !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("refused with %v, want an error that wraps ErrMalformed", err)
	}
}

// Whatever decodes has this one encoding.
func FuzzDecodeCommit(f *testing.F) {
	c := sampleCommit()
	f.Add(c.Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := wire.DecodeCommit(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, data) {
			t.Errorf("decoded %x\nencoded %x", data, again)
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	for _, r := range sampleRecords() {
		f.Add(wire.AppendBody(nil, &r), r.Version.Gen)
	}
	f.Fuzz(func(t *testing.T, data []byte, gen uint64) {
		r, err := wire.DecodeBody(data, version('a', gen))
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if again := wire.AppendBody(nil, &r); !bytes.Equal(again, data) {
			t.Errorf("decoded %x\nencoded %x", data, again)
		}
	})
}

func FuzzDecodeVector(f *testing.F) {
	f.Add(wire.AppendVector(nil, id.Vector{writer('a'): 1, writer('b'): 1 << 40}))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := wire.DecodeVector(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if again := wire.AppendVector(nil, v); !bytes.Equal(again, data) {
			t.Errorf("decoded %x\nencoded %x", data, again)
		}
	})
}

func FuzzDecodeVersions(f *testing.F) {
	f.Add(wire.AppendVersions(nil, version('a', 9), []id.Version{version('a', 3), version('b', 3)}), uint64(9))
	f.Fuzz(func(t *testing.T, data []byte, gen uint64) {
		list, rest, err := wire.DecodeVersions(data, version('a', gen))
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again := wire.AppendVersions(nil, version('a', gen), list)
		if !bytes.Equal(append(again, rest...), data) {
			t.Errorf("decoded %x\nencoded %x", data, again)
		}
	})
}
