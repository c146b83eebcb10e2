package history_test

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func BenchmarkApplyFresh(b *testing.B) {
	r := wire.Record{Version: id.Version{Writer: writerOf('a'), Gen: 1}, Key: "row", Value: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		var s history.State
		s.Apply(&r, 1)
	}
}

func BenchmarkApplyNext(b *testing.B) {
	first := wire.Record{Version: id.Version{Writer: writerOf('a'), Gen: 1}, Key: "row", Value: make([]byte, 100)}
	var base history.State
	base.Apply(&first, 1)
	next := first
	next.Version = id.Version{Writer: writerOf('b'), Gen: 1}
	ancestry := base.Next(next.Version.Writer)
	next.Parents, next.Seen = ancestry.Parents, ancestry.Seen
	b.ReportAllocs()
	for b.Loop() {
		s := base
		s.Apply(&next, 2)
	}
}
