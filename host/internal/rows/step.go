package rows

// size is how many records a step has, and about how many bytes they take in a batch.
func (s *Step) size() (records, bytes int) {
	for i := range s.Commits {
		list := s.Commits[i].Records
		records += len(list)
		for j := range list {
			// In the log and as a row, with the keys of both and what stands before the value.
			bytes += 2*(len(list[j].Record.Key)+len(list[j].Record.Value)) + 3*recordOverhead
		}
	}
	return records, bytes
}

// stepOverhead is more than a step writes beside its records. A batch that is short of a few bytes takes three times as much until it is
// copied.
const stepOverhead = 64 << 10

// beginStep begins the transaction of a step from a peer, with the memory that the one before had if both are large. It is called
// with mu held.
func (db *DB) beginStep(step Step) *txn {
	t := db.begin()
	records, bytes := step.size()
	if bytes > db.s.kv.IngestFrom() {
		t.b.Reserve(bytes + stepOverhead)
	}
	if db.large != nil && records > maxScratchRows {
		scratches.Put(t.scratch)
		t.scratch = db.large
	}
	db.large, t.received = nil, true
	return t
}
