package peer

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// What an initiator says of elsewhere arrives as it was said.
func TestWordsOfElsewhereArrive(t *testing.T) {
	f := newFamily(t)
	heard := make(chan delta.Elsewhere)
	a := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(ctx context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		if err := stream.Send(delta.Message{Accepted: []id.Scope{scope}}); err != nil {
			return err
		}
		for {
			select {
			case e := <-stream.Said():
				heard <- e
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	stream, err := mustConnect(t, b, a.address).Pull(t.Context(), open(b))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for _, want := range []delta.Elsewhere{
		{Writers: []id.Writer{writer(1), writer(2)}, Known: knownAt(id.Vector{writer(1): 5, writer(2): 7})},
		{Known: knownAt(id.Vector{writer(1): 6})},
		{Writers: []id.Writer{}},
		{News: knownAt(id.Vector{writer(3): 9})},
	} {
		if err := stream.Tell(want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, <-heard, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("said and heard (-want +got):\n%s", diff)
		}
	}
}

func knownAt(v id.Vector) []delta.ScopeVector { return []delta.ScopeVector{{Scope: scope, Vector: v}} }

// What nobody takes out while more is said becomes one, and of writers that are not held back any more nothing is kept.
func TestWordsOfElsewhereDoNotPileUp(t *testing.T) {
	p := pullSender{said: make(chan delta.Elsewhere, 1)}
	codec := newHoldBackCodec(delta.Open{Known: knownAt(nil)})
	say := func(e delta.Elsewhere) {
		t.Helper()
		decoded, err := codec.decode(encodeElsewhere(e))
		if err != nil {
			t.Fatal(err)
		}
		p.hear(decoded, codec)
	}
	for i := range uint32(5000) {
		w := writer(1)
		w.Epoch = i
		say(delta.Elsewhere{Writers: []id.Writer{w}, Known: knownAt(id.Vector{w: 1})})
	}
	say(delta.Elsewhere{Writers: []id.Writer{writer(2), writer(3)}, Known: knownAt(id.Vector{writer(2): 7})})
	say(delta.Elsewhere{Known: knownAt(id.Vector{writer(2): 6, writer(3): 1})})
	want := delta.Elsewhere{Writers: []id.Writer{writer(2), writer(3)}, Known: knownAt(id.Vector{writer(2): 7, writer(3): 1})}
	if diff := cmp.Diff(want, <-p.said, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what waits (-want +got):\n%s", diff)
	}
}

// Of more knowledge than may wait the last is kept.
func TestWordsOfElsewhereAreBounded(t *testing.T) {
	var known, next []delta.ScopeVector
	for i := range maxToldEntries/maxHeldBack + 1 {
		s := id.Scope{Collection: scope.Collection, Prefix: fmt.Sprint(i)}
		known, next = append(known, delta.ScopeVector{Scope: s}), append(next, delta.ScopeVector{Scope: s, Vector: id.Vector{}})
	}
	p := pullSender{said: make(chan delta.Elsewhere, 1)}
	codec := newHoldBackCodec(delta.Open{Known: known})
	var writers []id.Writer
	for i := range uint32(maxHeldBack) {
		w := id.Writer{Device: id.Device{1}, Epoch: i}
		writers = append(writers, w)
		for _, k := range next {
			k.Vector[w] = 1
		}
	}
	if _, err := codec.decode(encodeElsewhere(delta.Elsewhere{Writers: writers, Known: next})); err == nil {
		t.Error("too much in one message is taken")
	}
	for _, e := range []delta.Elsewhere{{Writers: writers, Known: next[1:]}, {Known: next[:1]}} {
		decoded, err := codec.decode(encodeElsewhere(e))
		if err != nil {
			t.Fatal(err)
		}
		p.hear(decoded, codec)
	}
	if got := <-p.said; len(got.Writers) != maxHeldBack || len(got.Known) != 1 || got.Known[0].Scope != next[0].Scope {
		t.Errorf("what waits is of %d writers in %d scopes, want %d in the last one", len(got.Writers), len(got.Known), maxHeldBack)
	}
}
