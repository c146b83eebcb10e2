package client_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/syncbase/syncbase/sdk/client"
)

// daemon is the address of one daemon for all examples that run, which is started for the first.
var daemon = sync.OnceValues(func() (address string, err error) {
	dir, err := os.MkdirTemp("", "sbx") // short, since the path of a socket is limited to about 100 bytes
	if err != nil {
		return "", err
	}
	client.AtEnd = append(client.AtEnd, func() { _ = os.RemoveAll(dir) })
	stop, err := serve(dir)
	if err != nil {
		return "", err
	}
	client.AtEnd = slices.Insert(client.AtEnd, 0, stop)
	return "unix://" + filepath.Join(dir, "data", "syncbase.sock"), nil
})

// tasks runs an example with a collection that has a few rows.
func tasks(example func(ctx context.Context, todo *client.Collection)) {
	address, err := daemon()
	if err != nil {
		log.Panic(err)
	}
	ctx := context.Background()
	c, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer c.Close()
	db := c.Database("notes")
	todo, err := fill(ctx, db)
	if err != nil {
		log.Panic(err)
	}
	example(ctx, todo)
	if err := db.Destroy(ctx); err != nil {
		log.Panic(err)
	}
}

func fill(ctx context.Context, db *client.Database) (*client.Collection, error) {
	if _, err := db.Create(ctx, nil); err != nil {
		return nil, err
	}
	todo := db.Collection("todo")
	if _, err := todo.Create(ctx, nil); err != nil {
		return nil, err
	}
	var errs []error
	for key, value := range map[string]any{
		"milk": task{Text: "two litres of milk"}, "shopping/bread": task{Text: "a loaf", Done: true}, "shopping/eggs": task{Text: "six eggs"},
		"shopping/note": "on the way home",
	} {
		_, err := todo.Put(ctx, key, value)
		errs = append(errs, err)
	}
	return todo, errors.Join(errs...)
}

// serve builds the daemon and runs it until stop is called.
func serve(dir string) (stop func(), err error) {
	binary, config := filepath.Join(dir, "syncbase"), filepath.Join(dir, "node.yaml")
	build := exec.Command("go", "build", "-o", binary, "github.com/syncbase/syncbase/cmd/syncbase")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the daemon: %w\n%s", err, out)
	}
	if err := os.WriteFile(config, []byte("node: {listen: []}\nplugins: {}\nblobs: {store: \"\"}\ndiscovery: []\n"), 0o600); err != nil {
		return nil, err
	}
	running := exec.Command(binary, "serve", "--config", config, "--data", filepath.Join(dir, "data"))
	out, err := running.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := running.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = running.Process.Signal(os.Interrupt)
		_ = running.Wait()
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Syncbase is ready") {
			return stop, nil
		}
	}
	stop()
	return nil, errors.New("the daemon ended before it was ready")
}
