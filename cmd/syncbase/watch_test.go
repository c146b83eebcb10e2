package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/sdk/client"
)

// TestWatchMarkers wants a marker on the last row of the initial state and on no other, and on the changes of a batch the
// place before it, but for the last.
func TestWatchMarkers(t *testing.T) {
	changes := func(keys ...string) (list []client.Change) {
		for _, key := range keys {
			list = append(list, client.Change{Collection: "c", Row: client.Row{Key: key, Value: client.Value{Raw: true}}})
		}
		return list
	}
	begin, end := client.Batch{Initial: true, Reset: true, Resume: "begin"}, client.Batch{Initial: true, Resume: "m0"}
	next := client.Batch{Changes: changes("x", "y"), Resume: "m1"}
	readable := client.Change{Kind: client.CollectionChanged, Tags: []string{"Read"}}
	hidden := client.Change{Kind: client.CollectionChanged, Tags: []string{"Admin"}, Row: client.Row{Key: "hidden"}}
	mixed := client.Batch{Changes: append(changes("x"), readable), Resume: "m1"}
	lost := client.Batch{Changes: []client.Change{readable, hidden}, Resume: "m1"}
	for what, c := range map[string]struct {
		batches []client.Batch
		want    []string
	}{
		"rows":          {[]client.Batch{begin, {Initial: true, Changes: changes("a", "b")}, {Initial: true, Changes: changes("c")}, end, next}, []string{"a", "b", "c m0", "x m0", "y m1"}},
		"no rows":       {[]client.Batch{begin, end, next}, []string{"x m0", "y m1"}},
		"begun again":   {[]client.Batch{begin, {Initial: true, Changes: changes("a", "b")}, begin, {Initial: true, Changes: changes("a")}, end}, []string{"a", "a m0"}},
		"collections":   {[]client.Batch{begin, {Initial: true, Changes: append(changes("a"), readable, hidden)}, end, mixed}, []string{"a m0", "x m1"}},
		"only those":    {[]client.Batch{{Resume: "m0"}, {Changes: []client.Change{readable}, Resume: "m1"}, next}, []string{"x m1", "y m1"}},
		"out of sight":  {[]client.Batch{{Resume: "m0"}, lost}, []string{"hidden m1"}},
		"from a marker": {[]client.Batch{{Resume: "given"}, next}, []string{"x given", "y m1"}},
	} {
		var out bytes.Buffer
		w := watchPrinter{app: &app{output: "json"}, lines: &out, json: encoder(&out)}
		for i := range c.batches {
			if err := w.batch(&c.batches[i]); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for d := json.NewDecoder(&out); d.More(); {
			var o changeObject
			if err := d.Decode(&o); err != nil {
				t.Fatal(err)
			}
			if o.Base64 == nil && o.Change == "put" {
				t.Errorf("%s: %s has no base64", what, o.Key)
			}
			if o.Resume != "" {
				o.Key += " " + o.Resume
			}
			got = append(got, o.Key)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -wanted +printed:\n%s", what, diff)
		}
	}
}
