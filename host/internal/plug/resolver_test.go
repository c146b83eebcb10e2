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
	t.Parallel()
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

func TestResolverTakesManyRequests(t *testing.T) {
	r := newRig(t, nil)
	r.set(Instance{Name: "merge", Kind: KindResolver, Path: "self/resolver"})
	requests := make([]Request, 5000)
	for i := range requests {
		requests[i] = conflict([]string{"pick", "merge", "keep"}[i%3])
	}
	got, err := r.Resolver("merge").Resolve(r.context(), requests)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range got {
		if want := []Verdict{Pick, Merged, KeepConflict}[i%3]; d.Verdict != want || d.Err != nil {
			t.Fatalf("request %d: got %+v", i, d)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	h, _ := benchRig(b, storeConfig{})
	if err := h.SetInstances([]Instance{{Name: "merge", Kind: KindResolver, Path: "self/resolver"}}); err != nil {
		b.Fatal(err)
	}
	requests := make([]Request, 1000)
	for i := range requests {
		requests[i] = conflict("pick")
	}
	for b.Loop() {
		if _, err := h.Resolver("merge").Resolve(b.Context(), requests); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(requests))/b.Elapsed().Seconds(), "decisions/s")
}
