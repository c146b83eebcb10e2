package discoverymdns

import (
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	for config, want := range map[string]string{
		`{}`:                                     "",
		`{"query_interval":"1m"}`:                "",
		`{"interfaces":["eth0","eth1"]}`:         "",
		`{"include_loopback":true}`:              "",
		`{"query_interval":"1ms"}`:               `"1ms" is not a duration from 100ms to 1h0m0s`,
		`{"query_interval":""}`:                  `"" is not a duration`,
		`{"query_interval":"soon"}`:              `"soon" is not a duration`,
		`{"interfaces":["eth0","eth0"]}`:         `"eth0" is there twice`,
		`{"interfaces":[""]}`:                    "the name is empty",
		`{"interface":"eth0"}`:                   "interface",
		`{"interfaces":[` + repeat(33) + `"x"]}`: "at most 32",
	} {
		err := Plugin("test").CheckConfig([]byte(config))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

func repeat(n int) string { return strings.Repeat(`"eth",`, n) }

func TestMissingInterfacesAreNamed(t *testing.T) {
	links, err := systemLinks(Config{Interfaces: []string{loopbackName(), "nonesuch0"}})
	if len(links) != 1 || err == nil || !strings.HasPrefix(err.Error(), "nonesuch0: ") {
		t.Errorf("%v, %v", links, err)
	}
}
