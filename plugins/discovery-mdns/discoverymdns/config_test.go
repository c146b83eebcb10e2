package discoverymdns

import (
	"slices"
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

func TestChoiceOfInterfaces(t *testing.T) {
	lo := link{index: 1, name: "lo", loopback: true}
	eth0, wlan0 := link{index: 2, name: "eth0"}, link{index: 3, name: "wlan0"}
	for _, c := range []struct {
		config Config
		able   []link
		want   []string
	}{
		{Config{}, []link{lo, eth0, wlan0}, []string{"eth0", "wlan0"}},
		{Config{}, []link{lo}, []string{"lo"}},
		{Config{}, nil, nil},
		{Config{IncludeLoopback: true}, []link{lo, eth0}, []string{"lo", "eth0"}},
		{Config{Interfaces: []string{"wlan0"}}, []link{lo, eth0, wlan0}, []string{"wlan0"}},
		{Config{Interfaces: []string{"wlan0"}}, []link{lo, eth0}, nil},
		{Config{Interfaces: []string{"lo"}}, []link{lo, eth0}, []string{"lo"}},
		{Config{Interfaces: []string{"eth0"}, IncludeLoopback: true}, []link{lo, eth0}, []string{"lo", "eth0"}},
	} {
		if got := names(c.config.choose(c.able)); !slices.Equal(got, c.want) {
			t.Errorf("%+v of %v: %v, want %v", c.config, names(c.able), got, c.want)
		}
	}
	if got := len(Config{}.choose(make([]link, 100))); got != maxLinks {
		t.Errorf("%d links, want at most %d", got, maxLinks)
	}
}

func TestMissingInterfacesAreNamed(t *testing.T) {
	links, err := systemLinks(Config{Interfaces: []string{loopbackName(), "nonesuch0"}})
	if len(links) != 1 || err == nil || !strings.HasPrefix(err.Error(), "nonesuch0: ") {
		t.Errorf("%v, %v", links, err)
	}
}
