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
	tasks(func(ctx context.Context, todo *client.Collection) {
		for _, key := range []string{"milk", "beer"} {
			item, err := client.Get[task](ctx, todo, key)
			switch {
			case errors.Is(err, client.ErrNotFound):
				fmt.Println("no", key)
			case err != nil:
				log.Panic(err)
			default:
				fmt.Println(item.Value.Text, item.Value.Done)
			}
		}
	})
	// Output:
	// two litres of milk false
	// no beer
}

// Rows that hold something else, of an older version of the application perhaps, are passed over.
func ExampleScan() {
	tasks(func(ctx context.Context, todo *client.Collection) {
		for item, err := range client.Scan[task](ctx, todo, client.Range{Prefix: "shopping/"}) {
			if other := (*client.DecodeError)(nil); errors.As(err, &other) {
				fmt.Println(item.Key, "is no task")
				continue
			}
			if err != nil {
				log.Panic(err)
			}
			fmt.Println(item.Key, item.Value.Text)
		}
	})
	// Output:
	// shopping/bread a loaf
	// shopping/eggs six eggs
	// shopping/note is no task
}

// A view that follows the collection: the present rows first, then what changes.
func ExampleWatch() {
	tasks(func(ctx context.Context, todo *client.Collection) {
		view := map[string]task{}
		for update, err := range client.Watch[task](ctx, todo, client.WatchOptions{Initial: true}) {
			if err != nil {
				log.Panic(err)
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
			if update.Initial && !update.Reset && update.Resume != "" {
				fmt.Println(len(view), "tasks at first")
				if _, err := todo.Delete(ctx, "milk"); err != nil {
					log.Panic(err)
				}
			}
			if _, left := view["milk"]; !update.Initial && !left {
				fmt.Println(len(view), "tasks without milk")
				break
			}
		}
	})
	// Output:
	// 3 tasks at first
	// 2 tasks without milk
}
