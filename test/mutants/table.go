package main

const (
	deltaDir     = "host/internal/delta"
	historyDir   = "host/internal/history"
	mergeDir     = "host/internal/merge"
	hlcDir       = "host/internal/hlc"
	skewDir      = "host/internal/skew"
	rowsDir      = "host/internal/rows"
	engineDir    = "host/internal/engine"
	syncgroupDir = "host/internal/syncgroup"
)

// mutants are ordered as the floors are.
var mutants = []mutant{
	{
		name: "hlc-drift", file: hlcDir + "/hlc.go", tests: hlcDir,
		old: "if t > FromWall(now.Add(MaxDrift)) {", new: "if t > FromWall(now.Add(2*MaxDrift)) {",
		breaks: "a clock that is wrong by more than the bound is followed",
	},
	{
		name: "hlc-backwards", file: hlcDir + "/hlc.go", tests: hlcDir,
		old: "c.last = max(c.last, t)\n", new: "c.last = t\n",
		breaks: "a time seen elsewhere sets the clock back",
	},
	{
		name: "delta-advance-own", file: deltaDir + "/knowledge.go", tests: deltaDir,
		old: "if w != k.own.Writer && known[w] < g {", new: "if known[w] < g {",
		breaks: "what others say of a device's own generations counts as made",
	},
	{
		name: "delta-holds-scope", file: deltaDir + "/knowledge.go", tests: deltaDir,
		old: "if known.Covers(v) && s.Has(c, key) {", new: "if known.Covers(v) && s.Collection == c {",
		breaks: "what is known of a part of a collection passes for known of all of it",
	},
	{
		name: "delta-at-nesting", file: deltaDir + "/knowledge.go", tests: deltaDir,
		old: "if t.Covers(s) {", new: "if s.Covers(t) {",
		breaks: "what is known of a part passes for known of the whole",
	},
	{
		name: "delta-innermost", file: deltaDir + "/knowledge.go", tests: deltaDir,
		old: "len(s.Prefix) > len(narrowest.Prefix):", new: "len(s.Prefix) < len(narrowest.Prefix):",
		breaks: "a record is noted at a scope of which more may be to come",
	},
	{
		name: "delta-innermost-own-record", file: deltaDir + "/knowledge.go", tests: deltaDir,
		old: `case found && key == "":`, new: `case found && key == "?":`,
		breaks: "a collection's own record is noted at one of several scopes",
	},
	{
		name: "delta-update-range", file: deltaDir + "/plan.go", tests: deltaDir,
		old: "run.From, run.To = min(run.From, from), max(run.To, to)", new: "run.From, run.To = max(run.From, from), max(run.To, to)",
		breaks: "of two scopes the one that is further behind is not sent all",
	},
	{
		name: "delta-wants-known", file: deltaDir + "/plan.go", tests: deltaDir,
		old: "if s.have[v.Writer] >= v.Gen {", new: "if s.have[v.Writer] > v.Gen {",
		breaks: "what the initiator holds is sent again",
	},
	{
		name: "delta-sent", file: deltaDir + "/plan.go", tests: deltaDir,
		old: "s.have.Merge(s.upTo)\n", new: "",
		breaks: "what was sent is sent again with every change",
	},
	{
		name: "delta-frontier", file: deltaDir + "/frontier.go", tests: deltaDir,
		old: "if !own.Dominates(ack) {", new: "if false {",
		breaks: "a delete is stable although something older may be on its way",
	},
	{
		name: "delta-differing-level", file: deltaDir + "/digest.go", tests: deltaDir,
		old: "if f.Scope != o.Scope || f.Counting != o.Counting || f.Vector.Compare(o.Vector) != id.Equal {", new: "if f.Scope != o.Scope {",
		breaks: "devices that know different things are said to have diverged",
	},
	{
		name: "delta-digest-time", file: deltaDir + "/digest.go", tests: deltaDir,
		old: "data = binary.BigEndian.AppendUint64(data, uint64(r.Time))\n", new: "",
		breaks: "two versions under one name have one digest",
	},
	{
		name: "history-covers-order", file: historyDir + "/history.go", tests: historyDir,
		old: "return v.Gen <= h.Version.Gen\n", new: "return v.Gen < h.Version.Gen\n",
		breaks: "a version does not cover itself",
	},
	{
		name: "history-covers-beside", file: historyDir + "/history.go", tests: historyDir, run: "TestOpenHeadsAreExact",
		old: "if slices.Contains(h.Beside, v) {", new: "if len(h.Beside) > 1 && slices.Contains(h.Beside, v) {",
		breaks: "a version that was left open is taken for superseded",
	},
	{
		name: "history-supersede-inherit", file: historyDir + "/history.go", tests: historyDir, run: "TestReplicasConverge",
		old: "by.follow(h)\n\t\t} else {", new: "_ = h.past()\n\t\t} else {",
		breaks: "what follows from a winner loses what links had added to its history",
	},
	{
		name: "history-drop-inherit", file: historyDir + "/history.go", tests: historyDir, run: "TestExchangeConverges",
		old: "o.follow(&h)\n\t\t\t\tcovered = true", new: "covered = true",
		breaks: "a head that another one covers takes its history with it",
	},
	{
		name: "history-link-stem", file: historyDir + "/history.go", tests: historyDir, run: "TestReplicasConverge",
		old: "if !h.covers(winner) {", new: "if h.Version != winner {",
		breaks: "a link counts only as long as its winner is current",
	},
	{
		name: "history-next-own", file: historyDir + "/past.go", tests: historyDir, run: "TestTranscripts",
		old: "delete(a.Seen, w)\n", new: "",
		breaks: "a version says of its own writer what the order of its generations says",
	},
	{
		name: "merge-tie", file: mergeDir + "/merge.go", tests: mergeDir,
		old: "return a.Version.Compare(b.Version)\n", new: "return 0\n",
		breaks: "between equal times the winner depends on the order of the heads",
	},
	{
		name: "merge-rule-order", file: mergeDir + "/policy.go", tests: mergeDir,
		old: "v := [4]int{0, len(r.name), len(r.prefix), 0}", new: "v := [4]int{0, len(r.prefix), len(r.name), 0}",
		breaks: "a rule with a longer prefix decides over one with a longer name",
	},
	{
		name: "skew-hops", file: skewDir + "/skew.go", tests: skewDir,
		old: "case w.Hops >= MaxHops:", new: "case w.Hops > MaxHops:",
		breaks: "a time is believed that came through one device too many",
	},
	{
		name: "skew-stale", file: skewDir + "/skew.go", tests: skewDir,
		old: "case !w.Server.After(e.Server):", new: "case w.Server.Before(e.Server):",
		breaks: "two devices with the same answer correct each other in turn",
	},
	{
		name: "rows-receive-known", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestKnownIsNotTakenAgain",
		old: "if r.know.Holds(e.Collection, e.Record.Key, v) {", new: "if false && r.know.Holds(e.Collection, e.Record.Key, v) {",
		breaks: "what is known is applied again",
	},
	{
		name: "rows-receive-scope", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestReceiveRefusesWhatWasNotAskedFor",
		old: "if !slices.ContainsFunc(r.scopes, func(s id.Scope) bool { return s.Has(e.Collection, e.Record.Key) }) {", new: "if len(r.scopes) == 0 {",
		breaks: "a peer can write outside of what is shared with it",
	},
	{
		name: "rows-receive-set-back", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestStepThatProvesASetBack",
		old: "if own := p.Vector[r.db.writer]; own > r.ownGen {", new: "if own := p.Vector[r.db.writer]; own > r.ownGen+1<<40 {",
		breaks: "a device that was set back does not notice from what a peer knows",
	},
	{
		name: "rows-receive-seen", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestStepThatProvesASetBack",
		old: "if own := e.Record.Seen[r.db.writer]; own > r.ownGen {", new: "if own := e.Record.Seen[r.db.writer]; own > r.ownGen+1<<40 {",
		breaks: "a device that was set back does not notice from what others had seen of it",
	},
	{
		name: "rows-receive-note", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestDevicesConverge",
		old: "\tr.note(e)\n\treturn nil\n", new: "\treturn nil\n",
		breaks: "after an interruption everything is sent again",
	},
	{
		name: "rows-knowledge-persisted", file: rowsDir + "/receive.go", tests: rowsDir, run: "TestDestroyedCollectionOnOtherDevices",
		old: "\tr.writeKnowledge()\n\treturn err\n", new: "\treturn err\n",
		breaks: "after a restart it is not known what rows there are",
	},
	{
		name: "rows-published-early", file: rowsDir + "/db.go", tests: rowsDir, run: "TestProgressShowsNothingEarly",
		old: "if db.published.Seq >= p.Seq {", new: "if true {",
		breaks: "progress shows commits that are not durable yet",
	},
	{
		name: "rows-durable-before-seen", file: rowsDir + "/txn.go", tests: rowsDir, run: "TestAsyncCommitsAreLostWholeAndFromTheEnd",
		old: "\treturn db.advance(know), nil\n", new: "\tp := db.advance(know)\n\tdb.publish(p)\n\treturn p, nil\n",
		breaks: "peers and watchers see a commit before it is durable",
	},
	{
		name: "rows-send-order", file: rowsDir + "/send.go", tests: rowsDir, run: "TestSendGoesInTheOrderOfLearning",
		old: "return c < 0\n", new: "return c > 0\n",
		breaks: "a record is sent before what it was made from",
	},
	{
		name: "rows-send-filter", file: rowsDir + "/send.go", tests: rowsDir, run: "TestBatchComesInPartsOnlyByDifferentPulls",
		old: "if !s.plan.Wants(r.coll, rec.Key, rec.Version) {", new: "if rec.Kind == 0xff {",
		breaks: "records are sent that the initiator may not have",
	},
	{
		name: "rows-link-winner", file: rowsDir + "/settle.go", tests: rowsDir, run: "TestForksArrive",
		old: "\tat := row.at()\n", new: "\tat := 0\n",
		breaks: "a link makes another version win than readers see everywhere else",
	},
	{
		name: "rows-time-bump", file: rowsDir + "/commit.go", tests: rowsDir, run: "TestWriteOnTopOfOneFromTheFuture",
		old: "at = max(at, row.Time()+1)\n", new: "at = max(at, 1)\n",
		breaks: "a write on top of one from the future is older than that",
	},
	{
		name: "rows-tomb-stable", file: rowsDir + "/tombs.go", tests: rowsDir, run: "TestTombstoneWaits",
		old: "if !t.stable(coll, head.Version) {", new: "if t.limits.Stable == nil {",
		breaks: "a tombstone goes while somebody may still send what it deletes",
	},
	{
		name: "rows-tomb-pulled", file: rowsDir + "/tombs.go", tests: rowsDir, run: "TestTombstoneWaitsForOpenPulls",
		old: "return held == nil || held.Covers(v)", new: "return held == nil || v.Gen > 0",
		breaks: "a delete is forgotten amid the pull of a copy that has not been sent it, which keeps the row",
	},
	{
		name: "rows-pull-outrun", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestPullIsOutrun",
		old: "\tdb.answers.told.Add(1)\n", new: "",
		breaks: "who learns of forgotten deletes amid a pull tells it that all was sent",
	},
	{
		name: "rows-tomb-again", file: rowsDir + "/tombs.go", tests: rowsDir, run: "TestReclaimingDevicesConverge",
		old: "if head.Version != l.version || contested(data) {", new: "if contested(data) {",
		breaks: "a newer tombstone goes with an older one",
	},
	{
		name: "rows-floor-order", file: rowsDir + "/reclaim.go", tests: rowsDir, run: "TestReclaimStopsAtTheFirstThatStays",
		old: "if last >= end || !s.mayGo(commits, left, last, now-s.behind) {\n\t\t\tbreak\n", new: "if last >= end || !s.mayGo(commits, left, last, now-s.behind) {\n\t\t\tcontinue\n",
		breaks: "younger history is reclaimed before older, and the floor passes what stays",
	},
	{
		name: "rows-reclaim-reader", file: rowsDir + "/reclaim.go", tests: rowsDir, run: "TestReclaimBehindReaders",
		old: "any && slowest < last &&", new: "any && slowest > last &&",
		breaks: "history is reclaimed under whoever reads it",
	},
	{
		name: "rows-rebase-unknown", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestRebaseAfterLongAbsence",
		old: "return r.inv.Held.Covers(h.Version) }", new: "return len(r.inv.Held) > 0 }",
		breaks: "a row that was written while away is dropped as if it had been deleted",
	},
	{
		name: "rows-renew-names", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestSetBackDeviceKeepsItsConflicts|TestSetBackDeviceLosesNothing",
		old: "v.Writer == p.writer && v.Gen > p.keep && v.Gen <= p.made {", new: "v.Writer == p.writer && v.Gen > p.keep+1 && v.Gen <= p.made {",
		breaks: "the first record after a restore keeps a name that means something else to others",
	},
	{
		name: "rows-renew-knowledge", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestSetBackShowsAfterARenewal",
		old: "delete(v, p.writer)\n\t\t}\n\t\tv.Merge(former)", new: "_ = p\n\t\t}\n\t\tv.Merge(former)",
		breaks: "a device that was set back does not ask for what it wrote before",
	},
	{
		name: "rows-renew-former", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestSetBackDeviceLosesNothing",
		old: "f.Gen, f.Seq = p.keep, r.from-1", new: "_, f.Seq = p.keep, r.from-1",
		breaks: "what a device made before it was set back does not come back to it",
	},
	{
		name: "rows-witness-digest", file: rowsDir + "/witness.go", tests: rowsDir, run: "TestSetBackDeviceLosesNothing",
		old: "if err == nil && recordDigest(w.Collection, &rec, h) == w.Digest {", new: "if err == nil && recordDigest(w.Collection, &rec, h) != (delta.Digest{}) {",
		breaks: "two records under one name pass for the same",
	},
	{
		name: "rows-digest-before", file: rowsDir + "/digest.go", tests: rowsDir, run: "TestSumsFollowRows",
		old: "change.Subtract(row.sum)\n", new: "",
		breaks: "the digest still counts what was overwritten",
	},
	{
		name: "rows-digest-live", file: rowsDir + "/digest_live.go", tests: rowsDir, run: "TestSumsFollowRows",
		old: "f.Sums[delta.Bucket(key)] -= sum.Short()", new: "_ = sum",
		breaks: "peers that count no deletes are shown sums with some",
	},
	{
		name: "delta-digest-contested", file: deltaDir + "/digest.go", tests: rowsDir, run: "TestComparingFindsADeleteInConflict",
		old: "if r.Deleted && !r.Contested {", new: "if r.Deleted {",
		breaks: "a delete that is one side of a conflict is in no sum",
	},
	{
		name: "engine-shared", file: engineDir + "/engine.go", tests: engineDir,
		old: "\t\tif !member {\n", new: "\t\tif !member && len(groups) == 0 {\n",
		breaks: "whoever asks is served",
	},
	{
		name: "engine-authorize-scope", file: engineDir + "/serve.go", tests: engineDir,
		old: "if asked && slices.ContainsFunc(scopes, within) {", new: "if asked && (len(scopes) > 0 || within(k.Scope)) {",
		breaks: "a member is sent scopes that are not shared with it",
	},
	{
		name: "engine-authorize-again", file: engineDir + "/serve.go", tests: engineDir,
		old: "if state.Meta != r.meta {", new: "if state.Meta < r.meta {",
		breaks: "whoever lost its rights is served as long as the pull is open",
	},
	{
		name: "engine-serve-paused", file: engineDir + "/serve.go", tests: engineDir,
		old: "if r.db.Published().Paused {", new: "if r.db.Published().Paused && r.plan != nil {",
		breaks: "a paused database accepts pulls",
	},
	{
		name: "engine-asked", file: engineDir + "/follow.go", tests: engineDir,
		old: "if !slices.Contains(asked, s) {", new: "if len(asked) == 0 {",
		breaks: "a responder may send scopes that were not asked for",
	},
	{
		name: "engine-stuck", file: engineDir + "/follow.go", tests: engineDir,
		old: "case level(know, held):", new: "case level(know, held) || before == nil:",
		breaks: "a pull that misses something is never opened anew",
	},
	{
		name: "engine-turns", file: engineDir + "/catchup.go", tests: engineDir,
		old: "if len(c.line) == 1 {", new: "if len(c.line) >= 1 {",
		breaks: "several peers send what was missed at the same time",
	},
	{
		name: "engine-neighbour-next", file: engineDir + "/neighbours.go", tests: engineDir,
		old: "lots[next] = 0\n", new: "_ = next\n",
		breaks: "in a large syncgroup some change may have no way to somebody",
	},
	{
		name: "engine-holdback-order", file: engineDir + "/holdback.go", tests: engineDir,
		old: "if plan.Lacks(ofOthers) || ", new: "if plan.Lacks(ofOthers) && false || ",
		breaks: "what a member writes waits for what it has from others",
	},
	{
		name: "engine-holdback-patience", file: engineDir + "/holdback.go", tests: engineDir,
		old: "if h.mark == nil || plan.Has(h.mark) {", new: "if true {",
		breaks: "what was expected from elsewhere and does not come is held back for as long as other things come from nowhere",
	},
	{
		name: "engine-echo-replaced", file: engineDir + "/echo.go", tests: engineDir,
		old: "r.race.first[w].replaces(r)", new: "r.race.first[w] != nil",
		breaks: "a peer is asked to hold back what nobody else brings",
	},
	{
		name: "engine-news-heard", file: engineDir + "/serve.go", tests: engineDir,
		old: "if r.lacks(e.News) {", new: "if r.lacks(nil) {",
		breaks: "what a member writes from which nobody pulls waits until somebody asks",
	},
	{
		name: "engine-news-alone", file: engineDir + "/news.go", tests: engineDir,
		old: "len(c.pulls) > 0 || time.Since(c.since) < newsPatience", new: "true",
		breaks: "who is pulled from by nobody waits for others to pass on what he writes",
	},
	{
		name: "engine-wanted-busy", file: engineDir + "/neighbours.go", tests: engineDir,
		old: "if len(c.wanted) <= maxWanted && busy(c.wanted[i]) {", new: "if busy == nil {",
		breaks: "of many that have something at the same time most are given up before it has come",
	},
	{
		name: "syncgroup-access-list", file: syncgroupDir + "/member.go", tests: syncgroupDir,
		old: "if !g.Spec.Permissions.Allows(p, perm.Read) {\n\t\treturn false, nil", new: "if !g.Spec.Permissions.Allows(p, perm.Read) {\n\t\treturn true, nil",
		breaks: "whoever is not on the access list is a member",
	},
	{
		name: "syncgroup-gone", file: syncgroupDir + "/member.go", tests: syncgroupDir,
		old: `return err == nil && (m.Gone == "" ||`, new: `return err == nil && (m.Gone != GoneEjected ||`,
		breaks: "whoever left is still served",
	},
	{
		name: "syncgroup-ejected", file: syncgroupDir + "/merge.go", tests: syncgroupDir,
		old: "if outO && !outP || outO == outP && o.since().After(p.since()) {", new: "if outO == outP && o.since().After(p.since()) || outP && !outO {",
		breaks: "an admission made without knowing of an ejection undoes it",
	},
	{
		name: "syncgroup-void", file: syncgroupDir + "/ejection.go", tests: syncgroupDir,
		old:    "case from.Gone != GoneEjected || !from.since().After(m.Knew) || !from.ejectedBefore(m):",
		new:    "case from.Gone != GoneEjected || !from.since().After(m.Knew):",
		breaks: "a later ejection of who made one makes that void, and two that eject each other both stay",
	},
	{
		name: "syncgroup-void-chain", file: syncgroupDir + "/ejection.go", tests: syncgroupDir,
		old: "return !none && err == nil, err", new: "return (none || !none) && err == nil, err",
		breaks: "an ejection that does not count itself makes another void",
	},
	{
		name: "syncgroup-incarnation", file: syncgroupDir + "/incarnation.go", tests: syncgroupDir,
		old: "if m.Made.Equal(made) {", new: "if !m.Made.After(made) {",
		breaks: "an ejection of a former syncgroup counts in the one that was made anew",
	},
	{
		name: "syncgroup-three-way", file: syncgroupDir + "/merge.go", tests: syncgroupDir,
		old: "case !bytes.Equal(was, isPreferred) || bytes.Equal(was, isOther):", new: "case isPreferred == nil || bytes.Equal(was, isOther):",
		breaks: "of two changes of one field the one that lost is taken",
	},
	{
		name: "syncgroup-pending", file: syncgroupDir + "/state.go", tests: syncgroupDir,
		old: "return err == nil && !whole, err", new: "return err == nil && !whole && !registered, err",
		breaks: "a newcomer decides before it knows who the others are",
	},
	{
		name: "syncgroup-ack-author", file: syncgroupDir + "/acks.go", tests: syncgroupDir,
		old: "member && device == r.Version.Writer.Device.String() {", new: "member && device != \"\" {",
		breaks: "one member can say what another one holds",
	},
}
