package main

// ofPulls are mutants of how pulls share the work: who holds back what, who hears of news, and how fast rounds follow.
var ofPulls = []mutant{
	{
		name: "engine-echo-level", file: engineDir + "/echo.go", tests: engineDir, run: "TestWhatIsNoEcho",
		old: "if !r.level || !r.heeds {", new: "if !r.heeds {",
		breaks: "what a pull catches up on counts as late",
	},
	{
		name: "engine-echo-leave", file: engineDir + "/echo.go", tests: engineDir,
		old: "\t\tfor _, other := range r.race.runners {\n\t\t\tother.release(w)\n", new: "\t\tfor _, other := range r.race.runners {\n\t\t\t_ = other\n",
		breaks: "others go on holding back what nobody brings first any more",
	},
	{
		name: "engine-echo-grow", file: engineDir + "/echo.go", tests: engineDir, run: "TestRaceBetweenPulls",
		old: "e.limit, e.spared = min(2*e.limit, maxEchoBytes), 0\n", new: "e.spared = 0\n",
		breaks: "asking to hold back that proved wrong is as easily done again",
	},
	{
		name: "engine-echo-shrink", file: engineDir + "/echo.go", tests: engineDir, run: "TestRaceBetweenPulls",
		old: "e.spared, e.limit = 0, max(e.limit/2, echoBytes)\n", new: "e.spared = 0\n",
		breaks: "once wrong, asking to hold back stays hard for ever",
	},
	{
		name: "engine-echo-intime", file: engineDir + "/echo.go", tests: engineDir, run: "TestWhatIsNoEcho",
		old: "e.bytes = max(0, e.bytes-size)\n", new: "_ = size\n",
		breaks: "a peer that is first as often as not is asked to hold back",
	},
	{
		name: "engine-news-own", file: engineDir + "/news.go", tests: engineDir,
		old: "w.Device != f.peer.Device && !back &&", new: "!back &&",
		breaks: "a peer is told that it lacks what it wrote itself",
	},
	{
		name: "engine-news-pause", file: engineDir + "/news.go", tests: engineDir,
		old: "pause = min(2*pause, lastNewsPause)\n", new: "",
		breaks: "whoever cannot pull is told of the same every second for ever",
	},
	{
		name: "engine-news-came", file: engineDir + "/news.go", tests: engineDir,
		old: "news, _ := f.lackedByPeer(know, r)\n\treturn len(news) > 0\n", new: "news, _ := f.lackedByPeer(know, r)\n\treturn news == nil || len(news) > 0\n",
		breaks: "a peer is told of what has come to it from others",
	},
	{
		name: "engine-pace-alone", file: engineDir + "/pace.go", tests: engineDir,
		old: "if p.commits >= crowd {", new: "if p.commits >= 1 {",
		breaks: "whoever makes one commit after the other waits between them",
	},
	{
		name: "engine-pace-newest", file: engineDir + "/pace.go", tests: engineDir,
		old: "p.owed[i] = v // which covers the one before\n", new: "_ = v\n",
		breaks: "progress is reported as it was when it was first put off",
	},
	{
		name: "engine-pace-due", file: engineDir + "/pace.go", tests: engineDir,
		old: "if len(p.owed) == 0 {\n\t\treturn nil\n\t}\n\treturn time.After", new: "if len(p.owed) == 0 || p.commits == 0 {\n\t\treturn nil\n\t}\n\treturn time.After",
		breaks: "progress that was put off is not reported until something else happens",
	},
	{
		name: "engine-told-again", file: engineDir + "/echo.go", tests: engineDir, run: "TestHeldBackAgain",
		old: "held, e.Writers = writers, writers\n\t\t\tforgetOthers(told, writers)\n", new: "held, e.Writers = writers, writers\n",
		breaks: "a peer that holds a writer back again is not told what it has forgotten",
	},
	{
		name: "engine-news-held", file: engineDir + "/news.go", tests: engineDir, run: "TestNoNewsOf",
		old: "w.Device != f.peer.Device && !back && len(lacked)", new: "w.Device != f.peer.Device && (!back || back) && len(lacked)",
		breaks: "a peer is told as news what it was asked to hold back",
	},
	{
		name: "engine-news-since", file: engineDir + "/news.go", tests: engineDir, run: "TestWhoJustLeft",
		old: "\tc.since = time.Now()\n\tclose(c.changed)\n", new: "\tclose(c.changed)\n",
		breaks: "nobody is counted on who pulled a moment ago",
	},
}
