// Package blobs keeps blobs: packs of chunks in an object store, and beside them, in the key-value store, the index of
// chunks, the recipes, which rows refer to which blob, and where absent blobs may be found.
//
// It guarantees:
//   - A chunk is in the index only after the object store has acknowledged the pack that holds it, and a blob is whole only
//     after all its chunks are in the index. A crash leaves at worst a pack that nothing names.
//   - Every byte that leaves the store was checked against its hash. Damage is ErrCorrupt, never wrong bytes.
//   - Equal chunks are stored once, whatever blobs they occur in.
//   - References change in the batch that changes the row, so they never disagree with the rows.
//
// It knows nothing of rows beyond (database, collection, key), of permissions, of peers, and of how the object store keeps
// its bytes. The format is written down in docs/format-blobs.md. Read Store, Objects, PackWriter and Reader first.
package blobs
