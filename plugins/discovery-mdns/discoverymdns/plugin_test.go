package discoverymdns

import (
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/sdk/plugin"
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
