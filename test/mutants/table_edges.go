package main

const (
	hostDir     = "host"
	apiDir      = "host/internal/api"
	hosttestDir = "host/hosttest"
)

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
		name: "host-clock-restart", file: hostDir + "/clock.go", tests: hosttestDir, run: "Clock|Time",
		old: "\t\tk.dbs[db] = e\n\t\tdb.SetSkew(e.Skew)\n\t}\n\tfor", new: "\t\tk.dbs[db] = e\n\t}\n\tfor",
		breaks: "after a start a database goes by the clock of the machine, however wrong that is known to be",
	},
	{
		name: "host-clock-kept", file: hostDir + "/clock.go", tests: hosttestDir, run: "Clock|Time",
		old: "if first || before != e {", new: "if first {",
		breaks: "what was learned of the clock is forgotten when the power goes",
	},
	{
		name: "host-clock-retry", file: hostDir + "/clock.go", tests: hosttestDir, run: "Clock|Time",
		old: "wait, retry = min(wait, retry), 2*retry\n", new: "retry = 2 * retry\n",
		breaks: "after no time server answered none is asked before a whole interval has passed",
	},
	{
		name: "host-clock-stranger", file: hostDir + "/clock.go", tests: hosttestDir, run: "Clock|Time|Peer",
		old: "share, err := k.h.engine.Shares(db, caller.Principal); err != nil || !share {", new: "_, err := k.h.engine.Shares(db, caller.Principal); err != nil {",
		breaks: "who shares nothing hears what there is and how wrong its clock is",
	},
	{
		name: "host-clock-shared", file: hostDir + "/clock.go", tests: hosttestDir, run: "Clock|Time|Peer",
		old: "err == nil && share {\n\t\t\t\tk.askPeer", new: "err == nil && (share || !share) {\n\t\t\t\tk.askPeer",
		breaks: "peers are asked for the time of databases that they do not share",
	},
}
