package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A commit that only settles a conflict is overwritten like any other when it is given up: the row stays as it is shown, in a version
// that follows from the link and from what the link settled. So all members end with the conflict settled, and nobody refuses
// anything any more.

// stems reports whether the head is the version, or follows from it.
func stems(h *history.Head, v id.Version) bool {
	alone := history.State{Heads: []history.Head{*h}}
	return alone.Apply(&wire.Record{Version: v}, 0) == history.Known
}

// needlessLink reports whether a link that was not taken says nothing here: its winner is not here, or the row follows from it already.
func (d *discard) needlessLink(row *rowState) bool {
	here := slices.ContainsFunc(row.Heads, func(h history.Head) bool { return stems(&h, d.record.Parents[0]) })
	done := slices.ContainsFunc(row.Heads, func(h history.Head) bool { return stems(&h, d.record.Version) })
	return !here || done
}

// takingBackLink is the operation that follows from a link that was taken here, nil where nothing stems from its winner.
func takingBackLink(row *rowState, link *wire.Record) *discard {
	if !slices.ContainsFunc(row.Heads, func(h history.Head) bool { return stems(&h, link.Parents[0]) }) {
		return nil
	}
	return &discard{record: *link, back: true, before: row.shownRecord()}
}

// shownRecord has the content that readers see.
func (r *rowState) shownRecord() wire.Record {
	h := r.live()
	if h == nil {
		return wire.Record{Kind: wire.Delete}
	}
	return wire.Record{Raw: h.Raw, Type: h.Type, Value: h.Value}
}
