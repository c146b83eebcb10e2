//go:build !linux

package plugin

import "os"

// moveStdout changes the variable alone, which keeps away what Go code prints.
func moveStdout() (*os.File, error) {
	saved := os.Stdout
	os.Stdout = os.Stderr
	return saved, nil
}
