package kv

import "testing"

func TestNewDirectorySurvivesPowerLoss(t *testing.T) {
	for _, dir := range []string{"store", "a/b/store", "/var/lib/store"} {
		fs := NewMemFS()
		s, err := Open(dir, Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		b := s.NewBatch()
		b.Set([]byte{1}, []byte("value"))
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		left := fs.CrashClone()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(dir, Options{FS: left}); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Get([]byte{1}); err != nil || string(v) != "value" {
			t.Errorf("%s: %q, %v after power loss", dir, v, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
