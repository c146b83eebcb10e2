package conf

import "testing"

func TestHTTPAddresses(t *testing.T) {
	for what, x := range map[string]struct {
		check     func(string) error
		good, bad []string
	}{
		"local": {loopbackAddress,
			[]string{"127.0.0.1:0", "127.9.9.9:80", "[::1]:4080", "localhost:4080"},
			[]string{"0.0.0.0:80", ":80", "192.168.1.2:80", "[::]:80", "example.org:80", "127.0.0.1", "localhost:x", ""}},
		"origin": {webOrigin,
			[]string{"https://app.example.org", "http://localhost:3000", "http://[::1]:3000"},
			[]string{"*", "null", "", "app.example.org", "https://app.example.org/", "https://*.example.org", "https://a@b.example", "file:///x", "https://a.example?x"}},
		"host": {webHost,
			[]string{"laptop", "laptop.home.arpa"},
			[]string{"", "*", "laptop:80", "http://laptop", "a b", "[::1]"}},
	} {
		for _, text := range x.good {
			if err := x.check(text); err != nil {
				t.Errorf("%s %q: %v", what, text, err)
			}
		}
		for _, text := range x.bad {
			if x.check(text) == nil {
				t.Errorf("%s %q is taken", what, text)
			}
		}
	}
}

// TestHTTPFaults tells of every entry that makes no sense, with its key.
func TestHTTPFaults(t *testing.T) {
	r := &report{}
	h := HTTP{Listen: []string{"x"}, Local: []string{"0.0.0.0:1"}, Origins: []string{"https://ok.example", "*"}, Hosts: []string{"a/b"}}
	h.validate(r)
	if len(r.faults) != 4 {
		t.Errorf("%d faults: %v", len(r.faults), r.faults)
	}
}
