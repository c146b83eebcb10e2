package plugintest

import (
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLaunchOfWhatIsNoPlugin(t *testing.T) {
	for script, want := range map[string]string{
		"exit 3":                                          "no handshake on stdout",
		"echo Hello, I am no plugin; exec cat":            `handshake "Hello, I am no plugin" is not of the form`,
		"echo '1|7|unix|/s|grpc|'; exec cat":              "speaks protocol 7",
		"head -c 100000 /dev/zero | tr '\\0' x; exec cat": "no handshake on stdout",
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		_, err := Launch(cmd, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %.300v, want %q", script, err, want)
		}
		if cmd.ProcessState == nil {
			t.Errorf("%s: the process was not waited for", script)
		}
	}
}

func FuzzParseHandshake(f *testing.F) {
	for _, line := range []string{"1|1|unix|/tmp/s|grpc|", "1|2|unix|/tmp/s|grpc|", "1|1|tcp|:1|grpc|", "1|1|unix|/s|netrpc", "", "||||"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		address, err := parseHandshake(line)
		if err == nil && !strings.Contains(line, "|1|unix|"+address+"|grpc") {
			t.Errorf("%q was read as %q", line, address)
		}
	})
}
