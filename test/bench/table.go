package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// table collects measurements under their names, in the order of their first appearance.
type table struct {
	lines []*line
}

type line struct {
	name, unit string
	values     []float64
}

func (t *table) add(name, unit string, value float64) {
	for _, l := range t.lines {
		if l.name == name && l.unit == unit {
			l.values = append(l.values, value)
			return
		}
	}
	t.lines = append(t.lines, &line{name, unit, []float64{value}})
}

// memory adds what both daemons have had resident at the most.
func (t *table) memory(daemons ...*daemon) error {
	for _, d := range daemons {
		peak, err := d.peakMiB()
		if err != nil {
			return err
		}
		t.add("peak memory of "+d.name+", everything included", "MiB", peak)
	}
	return nil
}

func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "measurement\tmedian\tunit\tleast\tmost\truns")
	for _, l := range t.lines {
		slices.Sort(l.values)
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\n", l.name, number(l.values[len(l.values)/2]), l.unit,
			number(l.values[0]), number(l.values[len(l.values)-1]), len(l.values))
	}
	return tw.Flush()
}

func number(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// durations of one kind of event within a run.
type durations []time.Duration

// add puts the median and the 99th percentile into the table.
func (d durations) add(t *table, name string) {
	if len(d) == 0 {
		return
	}
	slices.Sort(d)
	ms := func(i int) float64 { return d[i].Seconds() * 1e3 }
	t.add(name+": p50", "ms", ms(len(d)/2))
	t.add(name+": p99", "ms", ms(len(d)*99/100))
}
