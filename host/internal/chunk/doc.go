// Package chunk cuts a blob into content-defined chunks, names chunks and blobs by their hashes, and describes a blob by
// its recipe, the list of its chunks.
//
// It guarantees that equal content gives equal chunks on every device for as long as recipe version 1 lives, that an edit
// moves only the boundaries near it, that a recipe has exactly one encoding, and that no encoding, however hostile, decodes
// into something outside the limits below. It is pure: it knows no store and no peer. The format is written down in
// docs/format-blobs.md. Read Cut, Chunker, Recipe and Ref.
package chunk
