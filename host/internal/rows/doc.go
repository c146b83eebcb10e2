// Package rows is the store of structured data: databases, collections and rows, the one commit log, and what this device
// knows of others' commits.
//
// It guarantees: a commit, local or received, is applied whole or not at all and appends, in the same atomic write, what
// watching and syncing need; generations are never used twice; what Published reports is durable and has no holes; nobody
// sees a commit before it is durable except by reading rows. It knows nothing of peers, access checks or
// policies beyond last-writer-wins, and reads no clock: time comes from Options.
//
// Read Store, DB and DB.Commit first; then DB.Receive and DB.Send, which are the two ends of a delta.
//
// It is the largest room, because all of it shares one lock and one atomic write. Its parts, by file:
//
//   - what there is: store, db, settings, keys and encode (what lies on disk), open (loading it), space (what it takes);
//   - reading and writing: read, merged, values, tx and tx_collections (batches), commit, commits (those that are written
//     together) and txn (the one way in), scratch and prefetch (what makes many rows cheap), json, durable (commits that do
//     not wait), full (a full disk), frozen;
//   - what readers of the log see: watch, tail, readers, history;
//   - the two ends of a delta: send, current, lacking and inventory here, receive, step, repair and rebase there, and
//     letters for what is refused;
//   - conflicts: settle, closure, conflict, resolve;
//   - what goes: reclaim, litter, tombs, revive, bury and sweep (destroyed collections);
//   - proof: digest (sums of rows that members compare), witness and renew (a device that was set back);
//   - soundness: check and mend with the files that begin with their names, atlas, backup.
package rows
