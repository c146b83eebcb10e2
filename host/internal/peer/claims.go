package peer

import (
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
)

// maxClaims bounds how many devices are remembered.
const maxClaims = 65536

// claims remembers which principal said first that it is which device: nobody else may say so later. A principal is one
// device at a time; when it becomes another, having been set up anew, its former claim stays, so that its old writes
// remain its own. Not safe for concurrent use.
type claims map[id.Device]id.Principal

// claim reports why principal may not be the device, nil if it may.
func (c claims) claim(device id.Device, principal id.Principal) error {
	if holder, taken := c[device]; taken {
		if holder != principal {
			return fmt.Errorf("%w: the data directory is that of %s (device %s), so %s cannot use it: put the identity of the former back there, or give the latter an empty data directory",
				ErrDenied, holder, device, principal)
		}
		return nil
	}
	if len(c) == maxClaims {
		return fmt.Errorf("more than %d devices have been seen", maxClaims)
	}
	c[device] = principal
	return nil
}
