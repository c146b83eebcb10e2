// Command blobstore-fs is the blob store on a local file system as a plugin of its own. The daemon bundles the same code.
package main

import "github.com/syncbase/syncbase/plugins/blobstore-fs/blobstorefs"

// version is set by the linker in releases.
var version = "dev"

func main() { blobstorefs.Plugin(version).Main() }
