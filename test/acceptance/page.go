package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A number of a case; a few were added between two others and have a letter.
type number struct {
	n      int
	letter string
}

// maxNumber bounds what a range may list.
const maxNumber = 999

func (n number) String() string { return fmt.Sprintf("%03d%s", n.n, n.letter) }

func (n number) compare(o number) int {
	return cmp.Or(cmp.Compare(n.n, o.n), cmp.Compare(n.letter, o.letter))
}

func parseNumber(s string) (number, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxNumber || len(s)-len(digits) > 1 {
		return number{}, fmt.Errorf("%q is not the number of a case", s)
	}
	return number{n, s[len(digits):]}, nil
}

// parseNumbers reads a list such as 1-17,20,177a.
func parseNumbers(s string) ([]number, error) {
	var list []number
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		lo, err := parseNumber(from)
		if err != nil {
			return nil, err
		}
		hi := lo
		if isRange {
			if hi, err = parseNumber(to); err != nil {
				return nil, err
			}
		}
		if !isRange {
			list = append(list, lo)
			continue
		}
		for n := lo.n; n <= hi.n; n++ {
			list = append(list, number{n: n})
		}
	}
	return list, nil
}

// A page is a page of the reference: the cases that matter, and why some are not held.
type page struct {
	name    string
	scope   []number
	reasons map[number]string
}

// readPage reads NAME.txt. Its lines are "scope NUMBERS", "NUMBERS reason", blank, or start with #.
func readPage(data fs.FS, name string) (*page, error) {
	f, err := data.Open(name + ".txt")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &page{name: name, reasons: map[number]string{}}
	lines := bufio.NewScanner(f)
	for at := 1; lines.Scan(); at++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", name, at, err)
		}
	}
	slices.SortFunc(p.scope, number.compare)
	return p, lines.Err()
}

func (p *page) line(line string) error {
	first, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if first == "scope" {
		list, err := parseNumbers(rest)
		p.scope = append(p.scope, list...)
		return err
	}
	list, err := parseNumbers(first)
	if err != nil {
		return err
	}
	if rest == "" {
		return fmt.Errorf("%s has no reason", first)
	}
	for _, n := range list {
		if _, twice := p.reasons[n]; twice {
			return fmt.Errorf("%s has two reasons", n)
		}
		p.reasons[n] = rest
	}
	return nil
}

// check returns where the claims and the page disagree.
func (p *page) check(claims []claim) []string {
	var faults []string
	held := p.held(claims)
	for _, c := range claims {
		if c.page == p.name && !slices.Contains(p.scope, c.num) {
			faults = append(faults, fmt.Sprintf("%s: there is no case %s-%s", c.where, p.name, c.num))
		}
	}
	for _, n := range p.scope {
		reason, open := p.reasons[n]
		switch tests := held[n]; {
		case open && len(tests) > 0:
			faults = append(faults, fmt.Sprintf("%s.txt says of %s: %q; but %s claims it", p.name, n, reason, tests[0]))
		case !open && len(tests) == 0:
			faults = append(faults, fmt.Sprintf("%s-%s is neither claimed by a test nor explained in %s.txt", p.name, n, p.name))
		}
	}
	for n := range p.reasons {
		if !slices.Contains(p.scope, n) {
			faults = append(faults, fmt.Sprintf("%s.txt explains %s, which is not in its scope", p.name, n))
		}
	}
	slices.Sort(faults)
	return faults
}

// held returns the tests that claim each case of the page, each once.
func (p *page) held(claims []claim) map[number][]string {
	held := map[number][]string{}
	for _, c := range claims {
		if c.page == p.name && slices.Contains(p.scope, c.num) && !slices.Contains(held[c.num], c.test) {
			held[c.num] = append(held[c.num], c.test)
		}
	}
	return held
}

func (p *page) print(w io.Writer, claims []claim) error {
	held := p.held(claims)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(table, "%s\theld by, or why not\n", p.name)
	for _, n := range p.scope {
		says := strings.Join(held[n], ", ")
		if says == "" {
			says = "not held: " + cmp.Or(p.reasons[n], "nobody says why")
		}
		fmt.Fprintf(table, "%s\t%s\n", n, says)
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func (p *page) summary(claims []claim) string {
	held := len(p.held(claims))
	return fmt.Sprintf("%s: %d held, %d not held of %d", p.name, held, len(p.scope)-held, len(p.scope))
}
