package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/syncbase/syncbase/sdk/client"
)

func Example() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "unix:///home/me/.local/share/syncbase/syncbase.sock", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	db := c.Database("notes")
	if _, err := db.Create(ctx, nil); err != nil && !errors.Is(err, client.ErrExists) {
		log.Fatal(err)
	}
	todo := db.Collection("todo")
	if _, err := todo.Create(ctx, nil); err != nil && !errors.Is(err, client.ErrExists) {
		log.Fatal(err)
	}
	if _, err := todo.Put(ctx, "milk", map[string]bool{"done": false}); err != nil {
		log.Fatal(err)
	}
	for row, err := range todo.Scan(ctx, client.Range{Prefix: "m"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s is %s\n", row.Key, row.Value.Bytes)
	}
}

// A change that depends on what was read goes into a batch with a check; when somebody else was quicker, it is made again.
func ExampleDatabase_Commit() {
	var ctx context.Context
	var db *client.Database

	counters := db.Collection("counters")
	for {
		row, err := counters.Get(ctx, "visits")
		if err != nil {
			log.Fatal(err)
		}
		var visits int
		if err := row.Decode(&visits); err != nil {
			log.Fatal(err)
		}
		put, err := counters.PutOp("visits", visits+1)
		if err != nil {
			log.Fatal(err)
		}
		_, err = db.Commit(ctx, counters.CheckVersionOp("visits", row.Version), put)
		if !errors.Is(err, client.ErrConflict) {
			break
		}
	}
}

// A copy of a database is kept up to date across restarts of both sides, by storing the marker with the copy.
func ExampleDatabase_Watch() {
	var ctx context.Context
	var db *client.Database
	marker := "" // from the last run

	for batch, err := range db.Watch(ctx, client.WatchOptions{Initial: true, Resume: marker}) {
		if err != nil {
			log.Fatal(err)
		}
		if batch.Reset {
			fmt.Println("forget everything: the present state follows")
		}
		for _, change := range batch.Changes {
			switch change.Kind {
			case client.Put:
				fmt.Println(change.Collection, change.Row.Key, "is", string(change.Row.Value.Bytes))
			case client.Deleted:
				fmt.Println(change.Collection, change.Row.Key, "is gone")
			case client.CollectionDestroyed:
				fmt.Println(change.Collection, "is gone with all its rows")
			}
		}
		if batch.Resume != "" {
			marker = batch.Resume
		}
	}
}

// A batch reads, decides and writes as if nobody else were there; when somebody was, it runs again.
func ExampleDatabase_RunInBatch() {
	var ctx context.Context
	var db *client.Database

	accounts := db.Collection("accounts")
	err := db.RunInBatch(ctx, client.RunOptions{}, func(tx *client.Tx) error {
		var from, to int
		for name, balance := range map[string]*int{"anna": &from, "bob": &to} {
			row, err := tx.Get(ctx, accounts, name)
			if err != nil {
				return err
			}
			if err := row.Decode(balance); err != nil {
				return err
			}
		}
		if from < 10 {
			return errors.New("anna has too little")
		}
		return errors.Join(tx.Put(ctx, accounts, "anna", from-10), tx.Put(ctx, accounts, "bob", to+10))
	})
	if errors.Is(err, client.ErrConflict) {
		fmt.Println("too much is going on; try again later")
	} else if err != nil {
		log.Fatal(err)
	}
}

// A read-only batch reads several things as they were at one moment.
func ExampleDatabase_Begin() {
	var ctx context.Context
	var db *client.Database

	tx, err := db.Begin(ctx, client.TxOptions{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := tx.Abort(ctx); err != nil {
			log.Print(err)
		}
	}()
	for _, c := range []*client.Collection{db.Collection("todo"), db.Collection("done")} {
		for row, err := range tx.Scan(ctx, c, client.Range{KeysOnly: true}) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(c.Name(), row.Key)
		}
	}
}

// A blob travels with the row that refers to it.
func ExampleDatabase_PutBlob() {
	var ctx context.Context
	var db *client.Database

	f, err := os.Open("holiday.mp4")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	ref, _, err := db.PutBlob(ctx, f)
	if err != nil {
		log.Fatal(err)
	}
	_, err = db.Collection("films").Put(ctx, "holiday", map[string]any{"file": map[string]string{"$blob": ref}})
	if err != nil {
		log.Fatal(err)
	}
}
