package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/syncbase/syncbase/sdk/client"
)

type task struct {
	Text string `json:"text"`
	Done bool   `json:"done"`
}

func ExampleGet() {
	var ctx context.Context
	var todo *client.Collection

	milk, err := client.Get[task](ctx, todo, "milk")
	switch {
	case errors.Is(err, client.ErrNotFound):
		fmt.Println("no milk")
	case err != nil:
		log.Fatal(err)
	default:
		fmt.Println(milk.Value.Text, milk.Value.Done)
	}
}

// Rows that hold something else, of an older version of the application perhaps, are passed over.
func ExampleScan() {
	var ctx context.Context
	var todo *client.Collection

	for item, err := range client.Scan[task](ctx, todo, client.Range{Prefix: "shopping/"}) {
		if other := (*client.DecodeError)(nil); errors.As(err, &other) {
			log.Printf("%s is no task: %v", item.Key, err)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(item.Key, item.Value.Text)
	}
}

// A view that follows the collection: the present rows first, then what changes.
func ExampleWatch() {
	var ctx context.Context
	var todo *client.Collection

	view := map[string]task{}
	for update, err := range client.Watch[task](ctx, todo, client.WatchOptions{Initial: true}) {
		if err != nil {
			log.Fatal(err)
		}
		if update.Reset {
			clear(view)
		}
		for _, ch := range update.Changes {
			switch {
			case ch.Kind == client.Put && ch.Err == nil:
				view[ch.Item.Key] = ch.Item.Value
			case ch.Kind == client.Put, ch.Kind == client.Deleted:
				delete(view, ch.Item.Key)
			case ch.Kind == client.CollectionDestroyed:
				clear(view)
			}
		}
		fmt.Println(len(view), "tasks")
	}
}
