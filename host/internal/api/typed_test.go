package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/sdk/client"
)

type task struct {
	Text string `json:"text"`
}

// TestTyped reads rows as values of a type, and goes on over those that hold something else.
func TestTyped(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	ctx := t.Context()
	put := func(key string, value any) {
		t.Helper()
		if _, err := c.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	put("a", task{"one"})
	put("b", client.Value{Bytes: []byte{1}, Raw: true})
	put("c", "a text")
	put("d", task{"two"})

	item, err := client.Get[task](ctx, c, "a")
	if err != nil || item.Value.Text != "one" || item.Version == "" || item.Updated.IsZero() {
		t.Errorf("%+v, %v", item, err)
	}
	if _, err := client.Get[task](ctx, c, "none"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a row that is not there: %v", err)
	}
	var wrong *client.DecodeError
	if item, err := client.Get[task](ctx, c, "b"); !errors.As(err, &wrong) || wrong.Row.Key != "b" || item.Key != "b" {
		t.Errorf("bytes as a task: %+v, %v", item, err)
	}
	if item, err := client.Get[client.Value](ctx, c, "b"); err != nil || !item.Value.Raw {
		t.Errorf("bytes as they are: %+v, %v", item, err)
	}

	var seen []string
	for item, err := range client.Scan[task](ctx, c, client.Range{}) {
		seen = append(seen, fmt.Sprintf("%s %s %v", item.Key, item.Value.Text, errors.As(err, &wrong)))
	}
	if diff := cmp.Diff([]string{"a one false", "b  true", "c  true", "d two false"}, seen); diff != "" {
		t.Errorf("-want +seen:\n%s", diff)
	}
	for _, err := range client.Scan[task](ctx, c, client.Range{KeysOnly: true}) {
		if !errors.Is(err, client.ErrInvalid) {
			t.Errorf("keys alone: %v", err)
		}
	}
}

// TestTypedWatch follows a collection as values of a type.
func TestTypedWatch(t *testing.T) {
	v := newWeb(t)
	c := v.collection("db", "c")
	ctx := t.Context()
	if _, err := c.Put(ctx, "a", task{"one"}); err != nil {
		t.Fatal(err)
	}
	var seen []string
	wrote := false
	for u, err := range client.Watch[task](ctx, c, client.WatchOptions{Initial: true}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range u.Changes {
			seen = append(seen, fmt.Sprintf("%s %s %s %v", ch.Kind, ch.Item.Key, ch.Item.Value.Text, ch.Err != nil))
		}
		if u.Initial && u.Resume != "" && !u.Reset && !wrote {
			wrote = true
			for _, step := range []func() error{
				func() error { _, err := c.Put(ctx, "b", 7); return err },
				func() error { _, err := c.Delete(ctx, "a"); return err },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(seen) > 0 && seen[len(seen)-1] == "deleted a  false" {
			break
		}
	}
	want := []string{"collection changed   false", "put a one false", "put b  true", "deleted a  false"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("-want +seen:\n%s", diff)
	}
	for _, err := range client.Watch[task](ctx, c, client.WatchOptions{Collection: "d"}) {
		if !errors.Is(err, client.ErrInvalid) {
			t.Errorf("another collection: %v", err)
		}
	}
}
