//go:build !linux

package blobstorefs

import "errors"

// freeBytes is unknown here.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
