package conf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad feeds the loader with files and variables. It must not panic, and what it accepts must print and load again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(printed), "NODE__NAME", "x")
	f.Add([]byte("plugins: {disk: {kind: blobstore, path: self, config: {a: [1, {b: .inf}]}}}"), "PLUGINS__DISK__CONFIG__A", "[1,")
	f.Add([]byte("a: &a [*a]"), "NODE_NAME", "")
	f.Add([]byte("? {x: y}\n: z\n<<: {}\n"), "__", "1")
	f.Add([]byte("---\n---\n"), "PLUGINS__X__ENV__A", "${env:}")
	f.Fuzz(func(t *testing.T, text []byte, name, value string) {
		file := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		opts := Options{File: file, Environ: []string{envPrefix + name + "=" + value}, DefaultName: "box", DefaultDataDir: "/data"}
		cfg, err := Load(opts)
		var faults Faults
		if err != nil {
			if !errors.As(err, &faults) && len(text) <= maxFileBytes {
				t.Fatalf("error is not a list of faults: %v", err)
			}
			return
		}
		out, err := Print(cfg)
		if err != nil {
			t.Fatalf("print: %v", err)
		}
		if err := os.WriteFile(file, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Options{File: file, DefaultName: "box", DefaultDataDir: "/data"}); err != nil {
			t.Fatalf("what was printed does not load: %v\n%s", err, out)
		}
	})
}
