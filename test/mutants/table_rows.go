package main

// ofRows are mutants of what a store keeps beside rows: letters, sums, quotas, names after a restore, and what it drops after
// a long absence.
var ofRows = []mutant{
	{
		name: "rows-rebase-letter-unknown", file: rowsDir + "/rebase_letters.go", tests: rowsDir, run: "TestPartOfAnInventory",
		old: " || !inv.Held.Covers(e.Record.Version) {", new: " || len(inv.Held) == 0 {",
		breaks: "what was set aside while away is dropped as if it had been deleted",
	},
	{
		name: "rows-rebase-letter-part", file: rowsDir + "/rebase_letters.go", tests: rowsDir, run: "TestPartOfAnInventory",
		old: `key < inv.From || inv.To != "" && key >= inv.To || `, new: "",
		breaks: "one part of an inventory decides about letters of the others",
	},
	{
		name: "rows-rebase-span", file: rowsDir + "/rebase_letters.go", tests: rowsDir, run: "TestPartOfAnInventory",
		old: "span.greatest >= r.inv.From &&", new: "span.greatest > r.inv.From &&",
		breaks: "a letter whose last row begins a part of an inventory stays although that row is gone",
	},
	{
		name: "rows-rebase-passed-on", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestRebaseAfterLongAbsence",
		old: "d.upTo.Merge(r.inv.Dropped)\n", new: "",
		breaks: "whoever was away for longer does not hear from here of deletes that were forgotten",
	},
	{
		name: "rows-rebase-newcomer", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestNewcomer",
		old: "if !known && !inv.Bare {", new: "if !known {",
		breaks: "a device that begins with nothing writes rows that lose against deletes which others remember",
	},
	{
		name: "rows-rebase-bare", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestBareInventory",
		old: "if r.inv.Bare && shown.Version.Writer != r.db.writer {", new: "if r.inv.Bare && len(row.Heads) == 0 {",
		breaks: "a device that begins with nothing writes anew what others wrote",
	},
	{
		name: "rows-rebase-after", file: rowsDir + "/rebase_anew.go", tests: rowsDir, run: "TestRenewedBatchStaysWhole",
		old: "at = max(at, row.Time()+1, coll.droppedAt+1)\n", new: "at = max(at, row.Time()+1)\n",
		breaks: "a row that is written anew loses against a delete that some still remember",
	},
	{
		name: "rows-rebase-whole", file: rowsDir + "/rebase_anew.go", tests: rowsDir, run: "TestRenewedBatchStaysWhole",
		old: "return commitName{v.Writer, v.Gen - h.index, h.count}, err", new: "return commitName{v.Writer, v.Gen, min(1, h.count)}, err",
		breaks: "of a batch some rows are written anew without the others",
	},
	{
		name: "rows-quota-gone", file: rowsDir + "/rebase.go", tests: rowsDir, run: "TestRebaseAfterLongAbsence",
		old: "\tt.stands -= int64(row.stored)\n", new: "",
		breaks: "rows that were dropped count in the quota for ever",
	},
	{
		name: "rows-quota-delete", file: rowsDir + "/full.go", tests: rowsDir, run: "TestQuota",
		old: "if quota == 0 || !t.puts || ", new: "if quota == 0 || ",
		breaks: "nothing can be deleted from a database that is over its quota",
	},
	{
		name: "rows-quota-live", file: rowsDir + "/full.go", tests: rowsDir, run: "TestEachOfAGroup",
		old: "return quota - min(live, quota), nil", new: "return quota - min(live, 0), nil",
		breaks: "one commit of a group that does not fit has all of them refused",
	},
	{
		name: "rows-letter-applied", file: rowsDir + "/letters.go", tests: rowsDir, run: "TestInventoryDoesNotSpeakForLetters|TestRefusedCommitBlocks",
		old: "v[l.Writer] = l.Least - 1\n", new: "v[l.Writer] = l.Least\n",
		breaks: "a commit that was set aside is said to have been applied",
	},
	{
		name: "rows-letter-bytes", file: rowsDir + "/letters.go", tests: rowsDir, run: "TestRebaseEndsLetters",
		old: "\t\t\tdb.letters.bytes -= l.Bytes\n", new: "",
		breaks: "letters that are gone fill the list until nothing can be set aside",
	},
	{
		name: "rows-letter-twice", file: rowsDir + "/letters.go", tests: rowsDir, run: "TestLetterThatCannotBeNoted",
		old: "if r.hasLetter(l) {", new: "if len(r.db.letters.list) > MaxLetters {",
		breaks: "what comes again before it could be noted is set aside twice",
	},
	{
		name: "rows-letter-set-back", file: rowsDir + "/letters.go", tests: rowsDir, run: "TestLetterThatProves",
		old: "own := e.Record.Seen[r.db.writer]; own > r.ownGen {", new: "own := e.Record.Seen[r.db.writer]; own > r.ownGen+1<<40 {",
		breaks: "a device that was set back does not notice from what it sets aside",
	},
	{
		name: "rows-letter-order", file: rowsDir + "/letters_send.go", tests: rowsDir, run: "TestTakenLetterGoesBefore",
		old: "r.writer == l.Writer && r.gen < l.Least", new: "false && r.writer == l.Writer",
		breaks: "a letter is passed on before what its writer did earlier, which the peer then takes for held",
	},
	{
		name: "rows-letter-pause", file: rowsDir + "/letters_retry.go", tests: rowsDir, run: "TestLettersAreTriedAgain",
		old: "min(firstRetry<<min(l.Tries, 10), lastRetry)", new: "firstRetry",
		breaks: "what is refused for good is tried again every minute",
	},
	{
		name: "rows-digest-meanwhile", file: rowsDir + "/digest.go", tests: rowsDir, run: "TestSumsOfWhat",
		old: "sums[i].Add(d.sums[i])\n", new: "",
		breaks: "the digest lacks what was written while it was made",
	},
	{
		name: "rows-digest-buried", file: rowsDir + "/digest.go", tests: rowsDir, run: "TestSumsWithout",
		old: `buried := key != "" && coll.hidden`, new: `buried := key == "?" && coll.hidden`,
		breaks: "the digest counts rows that were destroyed with their collection and are not swept yet",
	},
	{
		name: "rows-renew-commit", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestRenewalDividesNoCommit",
		old: "sure.Gen = min(sure.Gen, logGen(key)-h.index-1)\n", new: "_ = key\n",
		breaks: "a commit has some records under new names and some under old ones",
	},
	{
		name: "rows-renew-seen", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestSetBackConverges",
		old: "if p.writer == writer {\n\t\t\tseen[p.writer] = p.keep\n\t\t}\n", new: "_ = writer\n",
		breaks: "a renamed record does not follow from what its writer had done before",
	},
	{
		name: "rows-renew-again", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestSetBackShowsAfter|TestLies",
		old: "proof.Shown.Writer != db.writer && proof.Shown.Gen > made {", new: "proof.Shown.Writer != db.writer && proof.Shown.Gen < made {",
		breaks: "what was renamed already is renamed again",
	},
	{
		name: "rows-renew-dropped", file: rowsDir + "/renew_reclaim.go", tests: rowsDir, run: "SetBack|Renew|Reclaim",
		old: "d.upTo.Add(named)\n", new: "_ = named\n",
		breaks: "a renewal forgets which deletes were forgotten",
	},
	{
		name: "rows-renew-burial", file: rowsDir + "/renew_reclaim.go", tests: rowsDir, run: "SetBack|Renew|Bur|Destroyed",
		old: "\t\treach.Add(named)\n", new: "\t\t_ = named\n",
		breaks: "after a renewal rows come back that were destroyed with their collection",
	},
	{
		name: "rows-renew-count", file: rowsDir + "/renew.go", tests: rowsDir, run: "TestRenewalIsCounted",
		old: "\tdb.standing.reset() // rows name other versions now\n", new: "",
		breaks: "after a renewal what is in force is not what is stored",
	},
}
