package kv

import (
	"errors"
	"fmt"
	"testing"
)

// damagedReader counts how often it is asked for what it cannot read.
type damagedReader struct {
	Reader
	asked int
}

func (r *damagedReader) Get(key []byte) ([]byte, error) {
	if string(key) > "c" && string(key) <= "e" {
		r.asked++
		return nil, ErrDamaged
	}
	return key, nil
}

// Whoever goes around what was lost looks into each loss once, however many keys of it are asked for, and sees all the rest.
func TestAroundLooksOnce(t *testing.T) {
	under := &damagedReader{}
	r := Around(under, []Loss{{File: "2", After: []byte("d"), UpTo: []byte("e")}, {File: "1", After: []byte("c"), UpTo: []byte("d")}, {File: "log"}})
	if !Partial(r) || Partial(under) {
		t.Error("it is not told that something is missing")
	}
	for range 3 {
		for _, key := range []string{"a", "c", "e0", "z"} {
			if value, err := r.Get([]byte(key)); err != nil || string(value) != key {
				t.Errorf("%s: %q, %v", key, value, err)
			}
		}
		for i := range 10 {
			for _, part := range []string{"c", "d"} {
				if _, err := r.Get(fmt.Appendf(nil, "%s%d", part, i)); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s%d: %v", part, i, err)
				}
			}
		}
	}
	if under.asked != 2 {
		t.Errorf("the damaged parts were looked into %d times, want each once", under.asked)
	}
}
