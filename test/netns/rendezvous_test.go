package netns

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// reference: sync-165 five devices that know no address of each other, and reach no name, join at the same time by the local
// network alone: each writes, all have everything and count five members.
func TestFiveDaemonsMeetOnTheLocalNetworkAlone(t *testing.T) {
	binary := os.Getenv(binaryKey)
	if binary == "" {
		enterCommand(t) // builds nothing where the test cannot run
		binary = buildDaemon(t)
	}
	if !Inside(t, binaryKey+"="+binary) {
		return
	}
	hub := NewHub(t, len(names))
	dir := shortDir(t)
	all := make([]*daemon, len(names))
	for i, name := range names {
		all[i] = &daemon{machine: hub.Machines[i], binary: binary, data: filepath.Join(dir, name)}
	}
	first := all[0]
	first.serve(t)
	first.run(t, "db", "create", databaseName)
	first.run(t, "collection", "create", databaseName, collectionName)
	first.run(t, "syncgroup", "create", databaseName, syncgroupName, "--collection", collectionName)
	for i, d := range all[1:] {
		issued := d.data + "-identity"
		first.run(t, "identity", "issue", names[i+1], "--data", first.data, "--out", issued)
		d.serve(t, "--identity", issued)
	}
	failed := make([]error, len(all))
	var joining sync.WaitGroup
	for i, d := range all[1:] {
		joining.Go(func() { _, failed[i] = d.try("syncgroup", "join", databaseName, syncgroupName) })
	}
	joining.Wait()
	for _, err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range all {
		d.run(t, "put", databaseName, collectionName, "of-"+names[i], fmt.Sprintf(`{"number":%d}`, i))
	}
	for _, d := range all {
		for _, name := range names {
			d.until(t, "of-"+name, "get", databaseName, collectionName, "of-"+name, "-o", "json")
		}
		await(t, filepath.Base(d.data)+" counts five members", patience, func() (bool, string) {
			out, err := d.try("syncgroup", "members", databaseName, syncgroupName, "-o", "json")
			return err == nil && strings.Count(out, `"member"`) == len(names), fmt.Sprint(out, err)
		})
	}
}
