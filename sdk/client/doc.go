// Package client is for applications that keep their data in Syncbase: a typed client of the daemon that runs beside them.
//
// A [Client] speaks to one daemon, over the Unix socket of its data directory or over mutual TLS. From it come a
// [Database], a [Collection], a [Syncgroup]: plain names with methods, which cost nothing to make and are checked by the
// daemon with each call. Rows hold JSON, or bytes where a [Value] says so; blobs hold everything large.
//
// It guarantees that a commit that returned is as durable as the [Settings] of the database say, that batches which read
// ([Database.RunInBatch]) behave as if they were made one after the other, that a [Database.Watch] delivers whole batches in
// commit order without gaps across reconnections, and that errors can be told apart with errors.Is and the sentinels of
// this package.
// A Client and everything made from it is safe for concurrent use. The package knows nothing of the daemon's insides.
//
// Start with [Dial], [Client.Database] and [Collection.Put].
package client
