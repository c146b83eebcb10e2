package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// pkg is one package as `go list` describes it.
type pkg struct {
	ImportPath   string
	Dir          string
	Name         string
	Doc          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// roomOf finds the room of an import path of this module: the longest one that holds it.
func roomOf(importPath string) (room, bool) {
	rel, ok := strings.CutPrefix(importPath, module+"/")
	if !ok {
		return room{}, false
	}
	var found room
	for _, r := range rooms {
		if within(rel, r.path) && len(r.path) > len(found.path) {
			found = r
		}
	}
	// What stands below host/internal is in the house of its own, never in the room of host.
	if found.path == "host" && within(rel, "host/internal") {
		return room{}, false
	}
	return found, found.path != ""
}

func within(p, root string) bool {
	return p == root || strings.HasPrefix(p, root+"/")
}

func isStandard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// checkGraph gives every breach of the rules about imports, names and package comments.
func checkGraph(pkgs []pkg) []string {
	var breaches []string
	for _, p := range pkgs {
		say := func(format string, args ...any) {
			breaches = append(breaches, strings.TrimPrefix(p.ImportPath, module+"/")+": "+fmt.Sprintf(format, args...))
		}
		r, ok := roomOf(p.ImportPath)
		if !ok {
			say("stands in no room; add one line to rooms in test/arch/rooms.go with its floor, and to the picture in ARCHITECTURE.md")
			continue
		}
		if strings.TrimSpace(p.Doc) == "" && len(p.GoFiles) > 0 {
			say("has no package comment; say what it is for, what it guarantees and what to read first")
		}
		if slices.Contains(badNames, path.Base(p.ImportPath)) || slices.Contains(badNames, p.Name) {
			say("is named for nothing in particular; name the idea")
		}
		for _, imported := range p.Imports {
			checkImport(r, imported, say)
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			checkTestImport(r, imported, say)
		}
	}
	return breaches
}

func checkImport(from room, imported string, say func(string, ...any)) {
	for _, rule := range importers {
		if within(imported, rule.library) && !rule.allowed(from) {
			say("imports %s: %s", imported, rule.why)
		}
	}
	if within(imported, module) {
		checkInside(from, imported, say)
		return
	}
	checkPurity(from, imported, say)
	if imported == "testing" && !strings.HasPrefix(from.path, "test") && !testKit(from) {
		say("imports testing outside of tests")
	}
}

// testKit tells whether a room holds packages that are made for tests: hosttest and the conformance kits.
func testKit(r room) bool {
	return r.path == "host/hosttest" || r.path == "sdk/plugin"
}

// checkInside holds an import within the module against floors, sideways and bans.
func checkInside(from room, imported string, say func(string, ...any)) {
	to, ok := roomOf(imported)
	if !ok {
		say("imports %s, which stands in no room", imported)
		return
	}
	if from.path == to.path {
		return
	}
	for _, b := range bans {
		if b.from(from) && to.path == b.to && !slices.Contains(b.except, from.path) {
			say("imports %s: %s", to.path, b.why)
			return
		}
	}
	if allowedSideways(from, to) {
		return
	}
	switch {
	case isPlugin(from) && to.floor != floorSDK:
		say("imports %s: a plugin imports only the sdk, like one from elsewhere", to.path)
	case from.floor == floorSDK:
		say("imports %s: the sdk knows nothing of the daemon, and its parts nothing of each other", to.path)
	case from.floor <= to.floor:
		say("on floor %d imports %s on floor %d: imports go down; let the caller own an interface, or add a reason to sideways", from.floor, to.path, to.floor)
	}
}

func allowedSideways(from, to room) bool {
	return slices.ContainsFunc(sideways, func(e edge) bool { return e.from == from.path && e.to == to.path })
}

// checkPurity holds floors 0 to 2 against what pure code and code without chance may import.
func checkPurity(from room, imported string, say func(string, ...any)) {
	if from.floor < 0 || from.floor > 2 {
		return
	}
	if slices.Contains(chance, imported) {
		say("imports %s: chance is an input on floors 0 to 2", imported)
	}
	if from.floor > 1 {
		return
	}
	if isStandard(imported) {
		if slices.ContainsFunc(impure, func(p string) bool { return within(imported, p) }) {
			say("imports %s: the cores do no I/O", imported)
		}
		return
	}
	if !slices.ContainsFunc(pure, func(e edge) bool { return e.from == from.path && within(imported, e.to) }) {
		say("imports %s: the cores stand on the standard library alone; add a reason to pure if this one is arithmetic", imported)
	}
}

// checkTestImport is milder: a test may use what is made for tests and its own facades, but nothing above its floor, or
// else a change above breaks tests below.
func checkTestImport(from room, imported string, say func(string, ...any)) {
	to, ok := roomOf(imported)
	if !ok || from.path == to.path || allowedSideways(from, to) {
		return
	}
	switch {
	case from.floor == floorSDK && to.floor > floorSDK:
		say("imports %s in a test: the sdk knows nothing of the daemon", to.path)
	case isPlugin(from) && to.floor != floorSDK:
		say("imports %s in a test: a plugin is tested with the kit in the sdk, like one from elsewhere", to.path)
	case house(from) && house(to) && from.floor < to.floor:
		say("on floor %d imports %s on floor %d in a test", from.floor, to.path, to.floor)
	}
}
