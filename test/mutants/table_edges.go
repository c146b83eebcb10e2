package main

const apiDir = "host/internal/api"

// ofEdges are mutants of the daemon's edges.
var ofEdges = []mutant{
	{
		name: "api-mend-other", file: apiDir + "/mend.go", tests: apiDir, run: "Mend",
		old: "return t.caller == t.s.opts.Owner && t.caller.Extends(c.Name.Owner)", new: "return t.caller == t.s.opts.Owner",
		breaks: "the owner sets the lists of collections of others",
	},
	{
		name: "api-mend-guest", file: apiDir + "/mend.go", tests: apiDir, run: "Mend",
		old: "if t != nil && t.caller == s.opts.Owner && (", new: "if t != nil && (",
		breaks: "whoever knows of a database may set its list",
	},
}
