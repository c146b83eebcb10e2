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
	// beside is the name of the line of the same unit that it is compared with, and target what it should be; either may be empty.
	beside, target string
}

// median of the values, which are sorted by it.
func (l *line) median() float64 {
	slices.Sort(l.values)
	return l.values[len(l.values)/2]
}

// find returns the line of that name and unit, a new one if there is none.
func (t *table) find(name, unit string) *line {
	for _, l := range t.lines {
		if l.name == name && l.unit == unit {
			return l
		}
	}
	l := &line{name: name, unit: unit}
	t.lines = append(t.lines, l)
	return l
}

func (t *table) add(name, unit string, value float64) {
	l := t.find(name, unit)
	l.values = append(l.values, value)
}

// target says what a line should be.
func (t *table) target(name, unit, target string) { t.find(name, unit).target = target }

// compare has a line show its ratio to another one of the same unit, and what that should be.
func (t *table) compare(name, unit, beside, target string) {
	l := t.find(name, unit)
	l.beside, l.target = beside, target
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
	fmt.Fprintln(tw, "measurement\tmedian\tunit\tleast\tmost\truns\tratio\ttarget")
	for _, l := range t.lines {
		if len(l.values) == 0 {
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.name, number(l.median()), l.unit,
			number(l.values[0]), number(l.values[len(l.values)-1]), len(l.values), t.ratio(l), l.target)
	}
	return tw.Flush()
}

// ratio is how a line stands to the one beside it.
func (t *table) ratio(l *line) string {
	if l.beside == "" {
		return ""
	}
	other := t.find(l.beside, l.unit)
	if len(other.values) == 0 || other.median() == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f of %s", l.median()/other.median(), l.beside)
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
