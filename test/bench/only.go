package main

import (
	"fmt"
	"slices"
	"strings"
)

// measurements are what -only may name. The import and the initial sync come before everything else and are always taken.
var measurements = []string{"sync", "latency", "change", "stream", "idle", "scan", "writers", "watchers", "blobs"}

// only is a choice of measurements; nothing chosen is all of them.
type only []string

func (o *only) parse(list string) error {
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(measurements, name) {
			return fmt.Errorf("no measurement is called %q", name)
		}
		*o = append(*o, name)
	}
	return nil
}

func (o only) has(name string) bool { return len(o) == 0 || slices.Contains(o, name) }
