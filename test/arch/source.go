package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
)

// checkSource gives every place in a file of floors 0 to 2 that reads the clock and, on floors 0 and 1, that starts a
// goroutine. src is what go/parser takes: nil to read the file.
func checkSource(floor int, file string, src any) ([]string, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	timeName := nameOf(parsed, "time")
	var breaches []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if floor <= 1 {
				breaches = append(breaches, fmt.Sprintf("%s: starts a goroutine: the cores are values, their drivers run", fset.Position(n.Pos())))
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(clock, n.Sel.Name) {
				breaches = append(breaches, fmt.Sprintf("%s: time.%s: time is an input on floors 0 to 2", fset.Position(n.Pos()), n.Sel.Name))
			}
		}
		return true
	})
	return breaches, nil
}

// nameOf gives the name under which a file imports a standard package, "" when it does not.
func nameOf(file *ast.File, importPath string) string {
	for _, spec := range file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return importPath
	}
	return ""
}

// checkSources runs checkSource over every file of floors 0 to 2.
func checkSources(pkgs []pkg) ([]string, error) {
	var breaches []string
	for _, p := range pkgs {
		r, ok := roomOf(p.ImportPath)
		if !ok || r.floor < 0 || r.floor > 2 {
			continue
		}
		for _, name := range p.GoFiles {
			if slices.ContainsFunc(clocked, func(e edge) bool { return p.ImportPath == module+"/"+e.from && e.to == name }) {
				continue
			}
			found, err := checkSource(r.floor, filepath.Join(p.Dir, name), nil)
			if err != nil {
				return nil, err
			}
			breaches = append(breaches, found...)
		}
	}
	return breaches, nil
}
