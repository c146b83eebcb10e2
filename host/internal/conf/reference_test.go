package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReferences(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONF_TEST_SECRET", "from env")
	p := Plugin{
		Config: map[string]any{"a": "${env:CONF_TEST_SECRET}", "b": []any{"${file:" + secret + "}", 9007199254740993}, "c": "${other}", "d": "x${env:NO}"},
		Env:    map[string]string{"TOKEN": "${env:CONF_TEST_SECRET}", "A": "plain"},
	}
	data, err := p.ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(data), `{"a":"from env","b":["from file",9007199254740993],"c":"${other}","d":"x${env:NO}"}`; got != want {
		t.Errorf("ConfigJSON = %s, want %s", got, want)
	}
	env, err := p.Environ()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"A=plain", "TOKEN=from env"}, env); diff != "" {
		t.Errorf("Environ (-want +got):\n%s", diff)
	}
}

func TestReferencesThatLeadNowhere(t *testing.T) {
	p := Plugin{
		Config: map[string]any{"a": "${env:CONF_TEST_UNSET}", "b": []any{"${file:/nonexistent/secret}"}},
		Env:    map[string]string{"T": "${env:CONF_TEST_UNSET}"},
	}
	_, err := p.ConfigJSON()
	if err == nil {
		t.Fatal("ConfigJSON accepted references that lead nowhere")
	}
	for _, part := range []string{"config.a: environment variable CONF_TEST_UNSET is not set", "config.b.0: open /nonexistent/secret"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
	if _, err := p.Environ(); err == nil {
		t.Error("Environ accepted a reference that leads nowhere")
	}
}

func TestConfigJSONOfNothing(t *testing.T) {
	data, err := Plugin{}.ConfigJSON()
	if err != nil || string(data) != "{}" {
		t.Errorf("ConfigJSON = %s, %v", data, err)
	}
}
