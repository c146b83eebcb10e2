// Command discovery-mdns finds other nodes on the local network, as a plugin of its own. The daemon bundles the same
// code.
package main

import "github.com/syncbase/syncbase/plugins/discovery-mdns/discoverymdns"

// version is set by the linker in releases.
var version = "dev"

func main() { discoverymdns.Plugin(version).Main() }
