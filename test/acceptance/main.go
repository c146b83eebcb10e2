// Command acceptance tells which cases of the two reference pages, about the store and about sync, are held by a test.
//
// A test claims a case in a comment, with the behaviour in one line beside or below it:
//
//	// reference: store-040 a row is missing until it is put.
//
// Nothing else counts. The numbers that matter, and why some of them are not held, stand in testdata, a file for each page. The
// program ends with status 1 when the claims and those files disagree: so neither can go stale unnoticed. It knows numbers
// only, not what the cases say, and does not run the tests; make acceptance does both.
//
// Read first: page, then claim.
package main

import (
	"embed"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
)

//go:embed testdata/store.txt testdata/sync.txt
var explained embed.FS

func main() {
	root := flag.String("root", ".", "directory of the module")
	flag.Parse()
	data, err := fs.Sub(explained, "testdata")
	if err == nil {
		err = run(os.Stdout, os.DirFS(*root), data)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
}

// run reports on the module in tree; data has the files of the pages.
func run(w io.Writer, tree, data fs.FS) error {
	claims, faults, err := findClaims(tree)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	var summaries []string
	for _, name := range []string{"store", "sync"} {
		p, err := readPage(data, name)
		if err != nil {
			return err
		}
		known[name] = true
		faults = append(faults, p.check(claims)...)
		if err := p.print(w, claims); err != nil {
			return err
		}
		summaries = append(summaries, p.summary(claims))
	}
	for _, c := range claims {
		if !known[c.page] {
			faults = append(faults, fmt.Sprintf("%s: there is no page %s", c.where, c.page))
		}
	}
	for _, s := range summaries {
		fmt.Fprintln(w, s)
	}
	for _, f := range faults {
		fmt.Fprintln(w, "fault:", f)
	}
	if len(faults) > 0 {
		return fmt.Errorf("faults: %d, listed above", len(faults))
	}
	return nil
}
