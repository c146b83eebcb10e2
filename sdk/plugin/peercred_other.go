//go:build !linux && !darwin

package plugin

import "errors"

func peerOf(int) (Peer, error) { return Peer{}, errors.ErrUnsupported }
