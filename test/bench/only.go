package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// measurements are what -only may name. The import and the initial sync come before all of these and are always taken with them.
var measurements = []string{"sync", "latency", "change", "stream", "idle", "scan", "writers", "watchers", "blobs"}

// stages are measurements with daemons of their own, which are taken only when they are named.
var stages = []struct {
	name string
	take func(ctx context.Context, opts options, dir string, t *table) error
}{
	{"relay", measureRelay},
	{"rounds", measureRounds},
	{"cuts", measureCuts},
	{"churn", measureChurn},
	{"large", measureLarge},
}

// names returns all that may be named.
func names() []string {
	list := slices.Clone(measurements)
	for _, s := range stages {
		list = append(list, s.name)
	}
	return list
}

// only is a choice of measurements; nothing chosen is all of those that share a pair of daemons.
type only []string

func (o *only) parse(list string) error {
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("no measurement is called %q", name)
		}
		*o = append(*o, name)
	}
	return nil
}

func (o only) has(name string) bool { return len(o) == 0 || slices.Contains(o, name) }

// pair reports whether any of those that share a pair of daemons is chosen.
func (o only) pair() bool { return slices.ContainsFunc(measurements, o.has) }
