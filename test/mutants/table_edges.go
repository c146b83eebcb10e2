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
	{
		name: "clock-retry", file: "host/clock.go", tests: "host", run: "TestTimeServersAre",
		old: "wait, retry = min(wait, retry), 2*retry\n", new: "wait = min(wait, retry)\n",
		breaks: "time servers that do not answer are asked every minute for ever",
	},
	{
		name: "clock-anew", file: "host/clock.go", tests: "host", run: "TestTimeServersAre",
		old: "\t\t\tretry = serverRetry\n", new: "",
		breaks: "after an answer the pauses do not begin anew",
	},
	{
		name: "clock-kept", file: "host/clock.go", tests: "host", run: "TestTimeServersAre",
		old: "if first || before != e {\n", new: "if first && before != e {\n",
		breaks: "what a time server said is not kept",
	},
	{
		name: "clock-bad", file: "host/clock.go", tests: "host", run: "TestBadEstimate",
		old: "errors.Join(json.Unmarshal(data, &e), e.Validate())", new: "json.Unmarshal(data, &e)",
		breaks: "an estimate out of all bounds is believed",
	},
}
