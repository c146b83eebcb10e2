package blobstorefs

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/sdk/plugin"
)

// TestMain makes the test binary serve as the plugin when a test starts it as one.
func TestMain(m *testing.M) {
	if plugin.IsPlugin() {
		Plugin("test").Main()
	}
	goleak.VerifyTestMain(m)
}
