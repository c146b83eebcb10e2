package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/sdk/client"
)

// daemon is a real daemon in the test's process, on a directory and sockets of its own, without plugins.
type daemon struct {
	t        *testing.T
	name     string
	dir      string
	identity string
	host     *host.Host
	client   *client.Client
	stop     func()
}

func newDaemon(t *testing.T, name, identity string) *daemon {
	t.Helper()
	d := &daemon{t: t, name: name, dir: t.TempDir(), identity: identity}
	if identity == "" {
		d.identity = filepath.Join(d.dir, "identity")
	}
	d.start()
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	config, err := host.LoadConfig(host.ConfigSources{
		DefaultName: d.name, DefaultDataDir: d.dir,
		Flags: map[string]any{"identity.dir": d.identity, "node.listen": []string{"127.0.0.1:0"}},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	config.Plugins, config.Blobs.Store, config.Discovery = nil, "", nil
	h, err := host.New(host.Options{Config: config, Version: "test", Log: hclog.New(&hclog.LoggerOptions{
		Name: d.name, Level: hclog.Debug, Output: testWriter{d.t},
	})})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	<-h.Ready()
	d.host = h
	if d.client, err = client.Dial(d.t.Context(), "unix://"+h.Socket(), client.Options{}); err != nil {
		d.t.Fatal(err)
	}
	stopped := false
	d.stop = func() {
		if stopped {
			return
		}
		stopped = true
		if err := d.client.Close(); err != nil {
			d.t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			d.t.Errorf("%s: %v", d.name, err)
		}
	}
	d.t.Cleanup(d.stop)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p[:len(p)-1]))
	return len(p), nil
}

func (d *daemon) notes() *client.Collection { return d.client.Database("db").Collection("notes") }

func (d *daemon) put(key string, value any) {
	d.t.Helper()
	if _, err := d.notes().Put(d.t.Context(), key, value); err != nil {
		d.t.Fatalf("%s: put %s: %v", d.name, key, err)
	}
}

func (d *daemon) rows() map[string]string {
	d.t.Helper()
	rows := map[string]string{}
	for r, err := range d.notes().Scan(d.t.Context(), client.Range{}) {
		if err != nil {
			d.t.Fatalf("%s: scan: %v", d.name, err)
		}
		rows[r.Key] = string(r.Value.Bytes)
	}
	return rows
}

// await waits until the daemon has the row.
func (d *daemon) await(key, value string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	for batch, err := range d.client.Database("db").Watch(ctx, client.WatchOptions{Collection: "notes", Prefix: key, Initial: true}) {
		if err != nil {
			d.t.Fatalf("%s: waiting for %s: %v", d.name, key, err)
		}
		for _, c := range batch.Changes {
			if c.Row.Key == key && string(c.Row.Value.Bytes) == value {
				return
			}
		}
	}
}

// meet waits until the daemon is level with so many other members.
func (d *daemon) meet(others uint64) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	for n := uint64(0); n != others; {
		var err error
		if n, err = d.client.Database("db").Syncgroup("sg").Wait(ctx); err != nil {
			d.t.Fatalf("%s: wait for %d others: %v", d.name, others, err)
		}
	}
}

func (d *daemon) wait() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := d.client.Database("db").Syncgroup("sg").Wait(ctx); err != nil {
		d.t.Fatalf("%s: wait: %v", d.name, err)
	}
}

// pair returns two daemons of one owner that share the collection notes of the database db.
func pair(t *testing.T) (a, b *daemon) {
	t.Helper()
	a = newDaemon(t, "a", "")
	ctx := t.Context()
	db := a.client.Database("db")
	if _, err := db.Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.notes().Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		a.put(fmt.Sprintf("k%03d", i), i)
	}
	if _, err := db.Syncgroup("sg").Create(ctx, client.SyncgroupOptions{Scopes: []client.Scope{{Collection: "notes"}}}); err != nil {
		t.Fatal(err)
	}
	return a, a.admit("b")
}

// admit returns another daemon of the same owner, which has joined here and got what there is.
func (d *daemon) admit(name string) *daemon {
	d.t.Helper()
	issued := filepath.Join(d.t.TempDir(), name)
	if _, err := host.IssueIdentity(d.identity, name, issued); err != nil {
		d.t.Fatal(err)
	}
	n := newDaemon(d.t, name, issued)
	at := client.JoinOptions{Peer: d.host.PeerAddresses()[0]}
	if _, by, err := n.client.Database("db").Syncgroup("sg").Join(d.t.Context(), at); err != nil || by != d.name {
		d.t.Fatalf("join: admitted by %q, %v", by, err)
	}
	n.wait()
	return n
}

func TestTwoDaemonsShareACollection(t *testing.T) {
	a, b := pair(t)
	if diff := cmp.Diff(a.rows(), b.rows()); diff != "" {
		t.Fatalf("after the first sync (-a +b):\n%s", diff)
	}
	b.put("from b", json.RawMessage(`"hello"`))
	a.wait()
	if got := a.rows()["from b"]; got != `"hello"` {
		t.Errorf("a has %q for what b wrote", got)
	}
	var members []string
	for m, err := range a.client.Database("db").Syncgroup("sg").Members(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m.Member)
	}
	if len(members) != 2 {
		t.Errorf("members %v, want two", members)
	}
}

func TestEditsWhileApartConverge(t *testing.T) {
	a, b := pair(t)
	b.stop()
	for i := range 50 {
		a.put(fmt.Sprintf("k%03d", i), "a")
	}
	a.stop()
	b.start()
	for i := range 50 {
		b.put(fmt.Sprintf("k%03d", i+25), "b")
	}
	a.start()
	// a has a new port; it dials b where b was, which has a new port too: only one of them needs to know.
	if _, _, err := b.client.Database("db").Syncgroup("sg").Join(t.Context(), client.JoinOptions{Peer: a.host.PeerAddresses()[0]}); err != nil {
		t.Fatal(err)
	}
	b.wait()
	a.wait()
	b.wait()
	if diff := cmp.Diff(a.rows(), b.rows()); diff != "" {
		t.Fatalf("after meeting again (-a +b):\n%s", diff)
	}
	if got := a.rows()["k049"]; got != `"b"` {
		t.Errorf("k049 is %s, want the later write of b", got)
	}
}

func TestPeersAreFoundAgainAfterARestart(t *testing.T) {
	a, b := pair(t)
	b.stop()
	a.put("while b was away", 1)
	b.start()
	b.wait()
	if diff := cmp.Diff(a.rows(), b.rows()); diff != "" {
		t.Fatalf("after the restart (-a +b):\n%s", diff)
	}
}

// A daemon does not come up without a plugin that is required, and says which one and why.
func TestRequiredPluginThatIsMissingEndsTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, err := host.LoadConfig(host.ConfigSources{
		DefaultName: "a", DefaultDataDir: dir, Flags: map[string]any{"node.listen": []string{"127.0.0.1:0"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Discovery, config.Blobs.Store = nil, ""
	disk := config.Plugins["disk"]
	disk.Path, disk.AllowUnpinned, disk.Required = filepath.Join(dir, "no such program"), true, true
	config.Plugins = map[string]host.PluginConfig{"disk": disk}
	h, err := host.New(host.Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	err = h.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "required plugin disk") || !strings.Contains(err.Error(), "no such program") {
		t.Errorf("run ended with %v, want an error that names the plugin and the reason", err)
	}
	select {
	case <-h.Ready():
		t.Error("the host was ready")
	default:
	}
}

// A join that fails leaves nothing behind: no database, and the device in the epoch it was in.
func TestFailedJoinChangesNothing(t *testing.T) {
	a, b := pair(t)
	before, err := b.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opts := client.JoinOptions{Peer: a.host.PeerAddresses()[0]}
	if _, _, err := b.client.Database("other").Syncgroup("none").Join(t.Context(), opts); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("join of a syncgroup that is not there: %v, want not found", err)
	}
	after, err := b.client.Status(t.Context())
	if err != nil || after.Device != before.Device {
		t.Errorf("device %s, %v; want %s as before", after.Device, err, before.Device)
	}
	if _, _, err := b.client.Database("other").Permissions(t.Context()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the database after the join: %v, want none", err)
	}
}

func TestMembersMeetWithoutTheOneThatAdmittedThem(t *testing.T) {
	a, b := pair(t)
	c := a.admit("c")
	b.meet(2)
	c.meet(2)
	a.stop()
	b.put("from b", 1)
	c.await("from b", "1")

	// c knows b where it was; b listens elsewhere now, and knows where c is.
	b.stop()
	c.put("while b was away", 2)
	b.start()
	b.await("while b was away", "2")
	b.put("from b at its new address", 3)
	c.await("from b at its new address", "3")

	// b knows c where it was; c knows b from what b has published since.
	c.stop()
	c.start()
	c.put("from c at its new address", 4)
	b.await("from c at its new address", "4")
}

// Joining again without naming a type leaves a member what it is.
func TestJoiningAgainKeepsTheMemberType(t *testing.T) {
	a, b := pair(t)
	sg := b.client.Database("db").Syncgroup("sg")
	for _, as := range []string{"server", ""} {
		if _, _, err := sg.Join(t.Context(), client.JoinOptions{Peer: a.host.PeerAddresses()[0], MemberType: as}); err != nil {
			t.Fatal(err)
		}
	}
	// The register is written by who admits and by the member itself; what comes of it is known after a moment.
	var types map[string]int
	for range 100 {
		types = map[string]int{}
		for m, err := range sg.Members(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			types[m.Type]++
		}
		if types["server"] == 1 && types["normal"] == 1 {
			return
		}
		b.wait()
		a.wait()
	}
	t.Errorf("member types %v, want one server and one normal", types)
}
