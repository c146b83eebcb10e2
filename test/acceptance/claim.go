package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// A claim says that a test holds a case.
type claim struct {
	page string
	num  number
	// test is the directory of the package and the function, as in host/internal/rows.TestBatch.
	test string
	// where is the file and line of the comment.
	where string
}

const marker = "reference:"

var (
	reference = regexp.MustCompile(`^([a-z]+)-([0-9]+[a-z]?)$`)
	testName  = regexp.MustCompile(`^(Test|Fuzz|Example)([^a-z]|$)`)
)

// findClaims reads every test file of the module whose root is tree. Faults are what its author must put right.
func findClaims(tree fs.FS) (claims []claim, faults []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && foreign(tree, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		c, f, err := fileClaims(tree, name)
		claims, faults = append(claims, c...), append(faults, f...)
		return err
	})
	return claims, faults, err
}

// foreign tells whether the go command would not look for packages of the module in a directory.
func foreign(tree fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

func fileClaims(tree fs.FS, name string) (claims []claim, faults []string, err error) {
	src, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, nil, err
	}
	for _, group := range file.Comments {
		for i, comment := range group.List {
			rest, found := strings.CutPrefix(text(comment), marker)
			if !found {
				continue
			}
			where := files.Position(comment.Pos())
			c, err := parseClaim(rest, group.List[i+1:])
			if err == nil {
				c.test, err = owner(file, comment.Pos())
			}
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: %v", name, where.Line, err))
				continue
			}
			c.test, c.where = path.Dir(name)+"."+c.test, fmt.Sprintf("%s:%d", name, where.Line)
			claims = append(claims, c)
		}
	}
	return claims, faults, nil
}

func text(c *ast.Comment) string { return strings.TrimSpace(strings.TrimPrefix(c.Text, "//")) }

// parseClaim reads what follows the marker; the behaviour may stand on the next line of the comment.
func parseClaim(rest string, next []*ast.Comment) (claim, error) {
	ref, behaviour, _ := strings.Cut(strings.TrimSpace(rest), " ")
	m := reference.FindStringSubmatch(ref)
	if m == nil {
		return claim{}, fmt.Errorf("reference %q: want a page and a number, as in store-040", ref)
	}
	num, err := parseNumber(m[2])
	if err != nil {
		return claim{}, err
	}
	if behaviour == "" && len(next) > 0 && !strings.HasPrefix(text(next[0]), marker) {
		behaviour = text(next[0])
	}
	if behaviour == "" {
		return claim{}, fmt.Errorf("%s has no line that says the behaviour", ref)
	}
	return claim{page: m[1], num: num}, nil
}

// owner returns the test that a comment stands in or before.
func owner(file *ast.File, at token.Pos) (string, error) {
	for _, d := range file.Decls {
		if d.End() < at {
			continue
		}
		f, isFunc := d.(*ast.FuncDecl)
		if !isFunc || f.Recv != nil || !testName.MatchString(f.Name.Name) {
			return "", fmt.Errorf("the reference stands at no test")
		}
		return f.Name.Name, nil
	}
	return "", fmt.Errorf("the reference stands at no test")
}
