package wire_test

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// row is what an application typically writes: 100 bytes, on top of somebody else's version.
func row() wire.Record {
	return wire.Record{
		Version: version('a', 1000), Key: "notes/2026/11/22", Value: make([]byte, 100), Raw: true,
		Parents: []id.Version{version('b', 17)}, Seen: id.Vector{writer('b'): 17},
	}
}

func BenchmarkAppendBody(b *testing.B) {
	r := row()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = wire.AppendBody(buf[:0], &r)
	}
}

func BenchmarkDecodeBody(b *testing.B) {
	r := row()
	fresh := r
	fresh.Parents, fresh.Seen = nil, nil
	for name, r := range map[string]wire.Record{"first": fresh, "later": r} {
		b.Run(name, func(b *testing.B) {
			data := wire.AppendBody(nil, &r)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.DecodeBody(data, r.Version); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func commitOf(n uint64) wire.Commit {
	c := wire.Commit{Writer: writer('a'), First: 1000, Count: n, Time: 1}
	for i := range n {
		r := row()
		r.Version.Gen += i
		c.Records = append(c.Records, wire.Entry{Collection: rowsOf("c"), Record: r})
	}
	return c
}

func BenchmarkEncodeCommit(b *testing.B) {
	for name, n := range map[string]uint64{"1row": 1, "1000rows": 1000} {
		b.Run(name, func(b *testing.B) {
			c := commitOf(n)
			var bodies [][]byte
			for i := range c.Records {
				bodies = append(bodies, wire.AppendBody(nil, &c.Records[i].Record))
			}
			var e wire.CommitEncoder
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				e.Begin(c.Writer, c.First, c.Count, c.Time)
				for i := range c.Records {
					e.Add(c.Records[i].Collection, c.First+uint64(i), bodies[i])
				}
				buf = e.Append(buf[:0])
			}
		})
	}
}

func BenchmarkDecodeCommit(b *testing.B) {
	for name, n := range map[string]uint64{"1row": 1, "1000rows": 1000} {
		b.Run(name, func(b *testing.B) {
			c := commitOf(n)
			data := c.Append(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.DecodeCommit(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
