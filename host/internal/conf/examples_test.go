package conf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var examples = filepath.Join("..", "..", "..", "configs")

// Every example loads by itself.
func TestExamplesLoad(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("examples: %v, %v; want laptop.yaml and server.yaml at least", files, err)
	}
	for _, file := range files {
		if err := Check(file); err != nil {
			t.Error(err)
		}
	}
}

// Between them the examples mention every key there is, so that whoever looks for one finds it explained.
func TestExamplesAreComplete(t *testing.T) {
	var all strings.Builder
	for _, name := range []string{"laptop.yaml", "server.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	for _, key := range everyKey() {
		if !strings.Contains(all.String(), " "+key+":") && !strings.Contains(all.String(), "\n"+key+":") {
			t.Errorf("no example explains %q", key)
		}
	}
}
