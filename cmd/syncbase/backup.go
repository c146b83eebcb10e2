package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/syncbase/syncbase/sdk/client"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := command("backup DIR", "Copy the store into a directory while the daemon runs", "syncbase backup /mnt/backup/2026-11-22",
		cobra.ExactArgs(1), a.backup)
	cmd.Long = `Copy the store into a directory, absent or empty, of the daemon's machine, and verify the copy, while the daemon goes on working.
It holds every database and what is known of blobs; the blobs' bytes are where their plugin keeps them, and the keys in the
directory of the identity: copy both by yourself.`
	return cmd
}

func (a *app) backup(ctx context.Context, args []string) error {
	dir, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	return a.connect(ctx, func(c *client.Client) error {
		done, err := c.Backup(ctx, dir)
		if err != nil {
			return err
		}
		object := struct {
			Directory string `json:"directory"`
			client.Backup
		}{dir, done}
		return a.say(object, "%s holds %d files, %d bytes", dir, done.Files, done.Bytes)
	})
}
