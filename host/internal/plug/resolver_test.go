package plug

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func conflict(key string) Request {
	return Request{Collection: "o:c", Key: key, Siblings: []Version{
		{ID: []byte("a"), Value: []byte("1")}, {ID: []byte("b"), Value: []byte("2")},
	}}
}

func TestResolverDecides(t *testing.T) {
	r := newRig(t, nil)
	r.set(Instance{Name: "merge", Kind: KindResolver, Path: "self/resolver"})
	var requests []Request
	for _, key := range []string{"pick", "merge", "delete", "keep", "fail", "stranger", "silence"} {
		requests = append(requests, conflict(key))
	}
	got, err := r.Resolver("merge").Resolve(r.context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	want := []Decision{
		{Verdict: Pick, Pick: []byte("b")},
		{Verdict: Merged, Type: "t", Value: []byte("12")},
		{Verdict: Delete},
		{},
		{Err: cmpopts.AnyError},
		{Err: ErrProtocol},
		{Err: ErrProtocol},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
		t.Error(diff)
	}
}

// A request that kills the plugin, or that it never answers, stays open, and those before it are decided.
func TestPoisonedRequestStaysOpen(t *testing.T) {
	r := newRig(t, nil)
	r.set(Instance{Name: "merge", Kind: KindResolver, Path: "self/resolver"})
	got, err := r.Resolver("merge").Resolve(r.context(), []Request{conflict("pick"), conflict("hang"), conflict("pick")})
	if err != nil {
		t.Fatal(err)
	}
	want := []Decision{{Verdict: Pick, Pick: []byte("b")}, {Err: ErrTransient}, {Err: ErrTransient}}
	if diff := cmp.Diff(want, got, cmpopts.EquateErrors()); diff != "" {
		t.Error(diff)
	}
	if _, err := r.Resolver("merge").Resolve(r.context(), []Request{conflict("crash")}); !errors.Is(err, ErrDown) {
		t.Errorf("got %v", err)
	}
	got, err = r.Resolver("merge").Resolve(r.context(), []Request{conflict("pick"), conflict("crash")})
	if err != nil || got[0].Verdict != Pick || !errors.Is(got[1].Err, ErrDown) {
		t.Errorf("got %v, %v", got, err)
	}
	got, err = r.Resolver("merge").Resolve(r.context(), []Request{conflict("pick")})
	if err != nil || got[0].Verdict != Pick {
		t.Errorf("got %v, %v", got, err)
	}
}
