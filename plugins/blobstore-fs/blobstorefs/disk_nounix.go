//go:build !unix

package blobstorefs

import (
	"errors"
	"fmt"
	"os"
)

// lockFile fails: without a lock that ends with the process two stores could share a root.
func lockFile(*os.File) error {
	return fmt.Errorf("locks of whole files: %w", errors.ErrUnsupported)
}

func isFull(error) bool { return false }
