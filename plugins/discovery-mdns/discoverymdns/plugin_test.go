package discoverymdns

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/discovery/discoverytest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// TestMain lets the test binary be the plugin of the tests that want a process of its own.
func TestMain(m *testing.M) {
	if plugin.IsPlugin() {
		Plugin("test").Main()
	}
	goleak.VerifyTestMain(m)
}

// onLoopback keeps the real network out of tests.
func onLoopback() plugintest.Options {
	return plugintest.Options{Config: Config{Interfaces: []string{loopbackName()}, QueryInterval: "1s"}}
}

func TestConformanceInProcess(t *testing.T) {
	a := plugintest.InProcess(t, Kind(), onLoopback())
	b := plugintest.InProcess(t, Kind(), onLoopback())
	discoverytest.Run(t, a.Conn, b.Conn, discoverytest.Options{})
}

func TestConformanceSubprocess(t *testing.T) {
	a := plugintest.Subprocess(t, exec.Command(os.Args[0]), onLoopback())
	b := plugintest.Subprocess(t, exec.Command(os.Args[0]), onLoopback())
	discoverytest.Run(t, a.Conn, b.Conn, discoverytest.Options{})
}

func TestConformanceOfTheLargestAdvert(t *testing.T) {

	a := plugintest.InProcess(t, Kind(), onLoopback())
	b := plugintest.InProcess(t, Kind(), onLoopback())
	discoverytest.Run(t, a.Conn, b.Conn, discoverytest.Options{RecordBytes: 512, Groups: 16})
}

// TestThreeOnOneMachine has three processes share the port.
func TestThreeOnOneMachine(t *testing.T) {
	var all []*discovery.Client
	for range 3 {
		all = append(all, discovery.NewClient(plugintest.Subprocess(t, exec.Command(os.Args[0]), onLoopback()).Conn))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	announced := make(chan error, len(all))
	announcing, withdraw := context.WithCancel(ctx)
	names := []string{"three-a", "three-b", "three-c"}
	for i, c := range all {
		go func() { announced <- c.Announce(announcing, advertOf(names[i]), nil) }()
	}
	for i, c := range all {
		seen := map[string]bool{}
		watching, enough := context.WithCancel(ctx)
		err := c.Watch(watching, func(e discovery.Event) error {
			if name := string(e.Advert.NodeID); e.Kind == discovery.Seen && slices.Contains(names, name) {
				seen[name] = true
			}
			if len(seen) == len(all)-1 {
				enough()
			}
			return nil
		})
		enough()
		if err != nil || len(seen) != len(all)-1 || seen[names[i]] {
			t.Errorf("%s sees %v: %v", names[i], seen, err)
		}
	}
	withdraw()
	for range all {
		if err := <-announced; err != nil {
			t.Error(err)
		}
	}
}
