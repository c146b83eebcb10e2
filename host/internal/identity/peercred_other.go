//go:build !linux && !darwin

package identity

import "errors"

func socketUID(int) (int, error) { return 0, errors.ErrUnsupported }
