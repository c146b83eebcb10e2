package discoverymdns

import "net"

// loopbackName is the name of this machine's loopback interface.
func loopbackName() string {
	all, err := net.Interfaces()
	if err != nil {
		return "lo"
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 {
			return ifi.Name
		}
	}
	return "lo"
}
